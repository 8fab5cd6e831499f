#include "training/extraction.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "data/grid.h"
#include "data/tile_stream.h"
#include "model/encoder.h"
#include "model/model_weights.h"
#include "store/manifest.h"
#include "training/precision.h"
#include "training/preprocessing.h"
#include "training/resolve.h"
#include "training/slide_scale.h"

namespace dbps::training {
namespace {

constexpr const char* kNoPixels = "holds features already: give a store of tiles or images";

// An encoder alone has no aggregator and no task, but a configuration names some.
config::Config encoder_config(const ExtractionOptions& options, const store::Reader& store) {
  if (options.weights.empty()) {
    throw ConfigError("--encoder needs --weights FILE: vectors of random weights say nothing");
  }
  config::Config config;
  config.experiment.name = "extract";
  config.data.store = {store.folder().string()};
  config.selection.method = "all";
  config.selection.sub_salient = 0;
  config.encoder.kind = options.encoder;
  config.encoder.weights = options.weights;
  config.encoder.projector = "none";
  config.encoder.channels = store.settings().channels;
  if (options.stages > 0) config.encoder.stages = options.stages;
  config.aggregator.kind = "mean";
  config.tasks.resize(1);
  config.tasks[0].name = "none";
  config.tasks[0].classes = {"0", "1"};
  config.training.epochs = 1;
  config.optimizer.warmup_epochs = 0;
  return config;
}

// What whole pictures are made into before they are cut says nothing of tiles.
void forget_pictures(config::Config& config) {
  const data::DataOptions given = std::exchange(config.data, {});
  config.data.store = given.store;
  config.data.mean = given.mean;
  config.data.std = given.std;
  config.data.decode_threads = given.decode_threads;
  config.data.host_bytes = given.host_bytes;
  config.data.device_bytes = given.device_bytes;
  config.selection.method = "all";
  config.augment.translate = 0;
  config.augment.erase = data::Erase::kNone;
  config.places.clear();
}

void fit_store(config::Config& config, const store::Reader& store) {
  const store::Settings& settings = store.settings();
  if (settings.kind == store::Kind::kTiles) {
    config::fit_tiles(config, settings.tile_size);
  } else {
    config::fit_pictures(config);
  }
  if (config.encoder.channels == settings.channels) return;
  throw ConfigError(fmt::format("{} holds pictures of {} channels, but the encoder reads {}",
                                store.folder().string(), settings.channels,
                                config.encoder.channels));
}

std::string cutting_text(const data::DataOptions& data) {
  const char* words[] = {"exact", "longest", "scale", "none"};
  const std::string size = data.resize == data::Resize::kNone ? ""
                           : data.resize == data::Resize::kScale
                               ? fmt::format(" {}", data.scale)
                               : fmt::format(" {} x {}", data.width, data.height);
  const char* edges[] = {"drop", "pad", "shift"};
  return fmt::format("; pictures resized: {}{}, patches of {}, stride {}, edge {}",
                     words[static_cast<int>(data.resize)], size, data.patch_size,
                     data.patch_stride > 0 ? data.patch_stride : data.patch_size,
                     edges[static_cast<int>(data.edge)]);
}

}  // namespace

struct Extractor::State {
  State(const ExtractionOptions& given, const store::Reader& from) : options(given), store(from) {
    if (from.settings().kind == store::Kind::kFeatures) {
      throw ConfigError(fmt::format("{} {}", from.folder().string(), kNoPixels));
    }
    source = options.model;
    source.overrides.push_back("training.precision=fp32");
    source.overrides.push_back("training.scan_precision=" + options.precision);
  }

  void load_model(distributed::World& world) {
    trained = load_trained_model(source, world);
    config = *trained.config;
    weights = trained.weights;
    if (model::reads_vectors(config.encoder)) {
      throw ConfigError(
          fmt::format("{} reads features: it has no encoder of pictures", source.path.string()));
    }
    if (is_tiles()) {
      check_tiles();
      forget_pictures(config);
    }
    fit_store(config, store);
    encoder = &trained.model->encoder();
  }

  void load_encoder(distributed::World& world) {
    config = config::with_overrides(encoder_config(options, store), source.overrides);
    weights = config.encoder.weights;
    if (model::reads_vectors(config.encoder)) {
      throw ConfigError("--encoder features reads no pictures: give another");
    }
    fit_store(config, store);
    const at::Device device = distributed::choose_device(world, config.distributed);
    config = resolve_machine(config, world, device);
    set_numerics(config.distributed);
    resolve_precision(config, device, world);
    own_encoder = model::make_encoder(
        config.encoder, at::TensorOptions(device).dtype(tensor_type(config.training.precision)),
        config.experiment.seed, statistics);
    statistics.allocate();
    model::load_encoder(*own_encoder, weights);
    encoder = own_encoder.get();
  }

  // Of a model of pictures the encoder takes any.
  void check_tiles() const {
    check_seen(trained.slides, weights.string(), store);
    if (!trained.slides || trained.slides->tile_size == store.settings().tile_size) return;
    throw ConfigError(fmt::format(
        "{} holds tiles of {} pixels, but {} is of {}: ingest the slides with --tile-size {}",
        store.folder().string(), store.settings().tile_size, weights.string(),
        trained.slides->tile_size, trained.slides->tile_size));
  }

  bool is_tiles() const { return store.settings().kind == store::Kind::kTiles; }
  const std::vector<double>& mean() const {
    return config.data.mean.empty() ? encoder->spec().mean : config.data.mean;
  }
  const std::vector<double>& std() const {
    return config.data.std.empty() ? encoder->spec().std : config.data.std;
  }

  data::HostBatch batch_of(int64_t bag) const {
    const at::Tensor like = encoder->parameters().parameters().front().tensor;
    const data::LoaderOptions how =
        loader_options(config, /*training=*/false, 0, like.device().is_cuda());
    if (is_tiles()) return data::tile_batch(store, bag, how);
    const std::string& id = store.bag(bag).id;
    return data::cut_encoded(store.read(bag), fmt::format("{}: {}", store.folder().string(), id),
                             id, how);
  }

  const ExtractionOptions options;
  const store::Reader& store;
  ModelSource source;
  TrainedModel trained;  // of a model: owns the encoder
  model::BatchStatistics statistics;
  std::unique_ptr<model::Encoder> own_encoder;
  model::Encoder* encoder = nullptr;
  std::unique_ptr<model::ScanEncoder> scan;
  config::Config config;
  std::filesystem::path weights;
};

Extractor::Extractor(const ExtractionOptions& options, const store::Reader& store,
                     distributed::World& world)
    : state_(std::make_unique<State>(options, store)) {
  State& state = *state_;
  options.model.path.empty() ? state.load_encoder(world) : state.load_model(world);
  state.scan = state.encoder->make_scan_copy(compute_types(state.config.training).scan);
  state.scan->refresh();
}

Extractor::~Extractor() = default;

store::Settings Extractor::settings() const {
  const State& state = *state_;
  const store::Settings& pixels = state.store.settings();
  store::Settings settings;
  settings.kind = store::Kind::kFeatures;
  settings.quality = 0;
  settings.channels = static_cast<int>(state.encoder->spec().width);
  settings.pixel_type = state.options.type;
  settings.tile_size = state.config.data.patch_size;
  settings.mpp = pixels.mpp;
  settings.tiles = pixels.tiles;
  const model::EncoderOptions& encoder = state.config.encoder;
  settings.encoder = {
      .kind = encoder.kind,
      .weights = state.weights.filename().string(),
      .hash = fmt::format("crc32c:{:08x}", store::file_crc32c(state.weights)),
      .stages = static_cast<int32_t>(encoder.stages),
      .projector = encoder.projector,
      .precision = compute_types(state.config.training).scan == at::kBFloat16 ? "bf16" : "fp32",
      .input = fmt::format("mean {}, std {}{}", fmt::join(state.mean(), " "),
                           fmt::join(state.std(), " "),
                           state.is_tiles() ? "" : cutting_text(state.config.data))};
  return settings;
}

store::Bag Extractor::describe(int64_t bag) const {
  const store::Bag& from = state_->store.bag(bag);
  store::Bag described;
  described.id = from.id;
  described.width = from.width;
  described.height = from.height;
  described.level = from.level;
  described.downsample = from.downsample;
  described.mpp = from.mpp;
  if (!state_->is_tiles()) {
    const data::Size size = data::resized(state_->config.data, {from.width, from.height});
    described.downsample = static_cast<double>(from.width) / static_cast<double>(size.width);
  }
  return described;
}

int64_t Extractor::extract(int64_t bag, const Visit& visit,
                           const std::function<void(int64_t)>& encoded) {
  const c10::NoGradGuard no_gradient;
  State& state = *state_;
  const data::HostBatch batch = state.batch_of(bag);
  const data::HostBag& host = batch.bags.front();
  const at::Tensor like = state.encoder->parameters().parameters().front().tensor;
  const data::DevicePatches patches(batch, state.mean(), state.std(), like.device(),
                                    like.scalar_type(), state.config.data.device_bytes);
  std::vector<std::vector<int64_t>> steps;
  const int64_t count = batch.offsets.back();
  for (int64_t first = 0; first < count; first += state.options.batch) {
    steps.emplace_back(static_cast<size_t>(std::min(state.options.batch, count - first)));
    std::iota(steps.back().begin(), steps.back().end(), first);
  }
  patches.expect(steps);
  const at::ScalarType type = state.options.type == "float16" ? at::kHalf : at::kFloat;
  for (const std::vector<int64_t>& rows : steps) {
    const at::Tensor vectors =
        state.scan->embed(patches.gather(rows)).to(at::kCPU).to(type).contiguous();
    if (!at::isfinite(vectors).all().item<bool>()) {
      throw DataError(fmt::format(
          "{}: the vectors of the bag '{}' are not all finite in {}{}",
          state.store.folder().string(), host.id, state.options.type,
          type == at::kHalf ? ", whose largest number is 65504: try --type float32" : ""));
    }
    const auto* bytes = static_cast<const uint8_t*>(vectors.data_ptr());
    const size_t width = vectors.nbytes() / rows.size();
    for (const int64_t row : rows) {
      visit({static_cast<int32_t>(std::lround(host.x[row])),
             static_cast<int32_t>(std::lround(host.y[row]))},
            {bytes, width});
      bytes += width;
    }
    if (encoded) encoded(rows.back() + 1);
  }
  return batch.tiles ? batch.tiles->bytes_read()
                     : static_cast<int64_t>(state.store.tile(bag).bytes);
}

}  // namespace dbps::training

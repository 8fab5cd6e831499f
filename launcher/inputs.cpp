#include "launcher/inputs.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <map>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "data/loader.h"
#include "data/vectors.h"
#include "image/codec.h"
#include "image/slide.h"
#include "ingest/feature_file.h"
#include "ingest/ingest.h"
#include "training/preprocessing.h"
#include "training/slide_scale.h"

namespace dbps::launcher {
namespace {

namespace fs = std::filesystem;

bool has_seen_slides(const training::TrainedModel& trained) {
  return trained.slides && trained.slides->kind == store::Kind::kTiles;
}

store::Kind kind_of_files(const training::TrainedModel& trained) {
  if (model::reads_vectors(trained.config->encoder)) return store::Kind::kFeatures;
  return has_seen_slides(trained) ? store::Kind::kTiles : store::Kind::kImages;
}

// Tiles are what a model reads that was trained without resizing, on patches of their size.
void check_store(const store::Reader& store, const training::TrainedModel& trained) {
  const store::Settings& settings = store.settings();
  const std::string folder = store.folder().string();
  const config::Config& config = *trained.config;
  const bool vectors = model::reads_vectors(config.encoder);
  if (vectors != (settings.kind == store::Kind::kFeatures)) {
    throw ConfigError(fmt::format("{} is a store of {}, but the model reads {}", folder,
                                  store::kind_name(settings.kind),
                                  vectors ? "features" : "pictures"));
  }
  if (settings.kind == store::Kind::kImages) return;
  training::check_seen(trained.slides, trained.weights.string(), store);
  if (settings.kind != store::Kind::kTiles) return;
  if (config.data.resize != data::Resize::kNone || config.data.patch_size != settings.tile_size) {
    throw ConfigError(
        fmt::format("{} holds tiles of {} pixels, but the model reads patches of {}{}", folder,
                    settings.tile_size, config.data.patch_size,
                    config.data.resize == data::Resize::kNone ? "" : " from resized pictures"));
  }
}

void add_store(const fs::path& folder, const training::TrainedModel& trained,
               std::vector<Input>& inputs) {
  const auto reader = std::make_shared<store::Reader>(folder);
  check_store(*reader, trained);
  for (int64_t bag = 0; bag < reader->num_bags(); ++bag) {
    const std::string& id = reader->bag(bag).id;
    if (!reader->is_later_part(bag)) inputs.push_back({id, folder / id, {}, reader, bag});
  }
}

void add_files(const fs::path& path, store::Kind kind, std::vector<Input>& inputs) {
  const ingest::SourceList list = ingest::find_sources(path, kind);
  for (const auto& folder : list.unread) log::warning("{}", ingest::unread_text(folder));
  for (const ingest::SourcePicture& found : list.pictures) {
    Input input{found.id, found.path, found.member};
    if (kind == store::Kind::kTiles) {
      input.slide = std::make_shared<ingest::SourceList>(ingest::SourceList{list.columns, {found}});
    }
    inputs.push_back(std::move(input));
  }
}

// Files of one name, or folders with the same names in them, have their whole paths as ids.
void name_apart(std::vector<Input>& inputs) {
  std::map<std::string, int64_t> count;
  for (const Input& input : inputs) ++count[input.id];
  for (Input& input : inputs) {
    if (count[input.id] < 2) continue;
    input.id = (input.member.empty() ? input.source : input.source / input.member).string();
  }
}

void check_width(const Input& input, int64_t width, int64_t wanted) {
  if (width == wanted) return;
  throw DataError(fmt::format("{}: vectors of {} numbers, but the model reads {}",
                              input.source.string(), width, wanted));
}

data::HostBatch read_vectors(const Input& input, int64_t width) {
  if (input.store) {
    check_width(input, input.store->settings().channels, width);
    return data::vector_batch(*input.store, input.bag);
  }
  const ingest::FeatureFile file = ingest::open_features(input.source, input.member);
  check_width(input, file.width, width);
  return data::vector_batch(input.id, ingest::as_stored(file, "float32"), width);
}

// A folder that goes with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code error;
    const fs::path above = fs::temp_directory_path(error);
    if (error) throw ConfigError("TMPDIR names no folder: slides are cut into one there");
    std::string pattern = (above / "dbps-slide-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw RuntimeFault(errno_message(fmt::format("cannot make a folder like {}", pattern)));
    }
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void cut_slide(const Input& input, const training::TrainedModel& trained, const OpenOptions& how,
               OpenInput& open) {
  const auto folder = std::make_shared<TemporaryFolder>();
  ingest::IngestOptions options = ingest::options_of(*trained.slides);
  options.slide_mpp = how.slide_mpp;
  options.jobs = static_cast<int>(trained.config->data.decode_threads);
  options.draw = false;
  const fs::path store = folder->path() / "store";
  const ingest::Summary summary = ingest::ingest(*input.slide, store, options);
  if (!summary.failed.empty()) throw DataError(summary.failed.front().reason);
  open.store = std::make_shared<store::Reader>(store);
  open.owner = folder;
}

bool is_slide(const fs::path& path) {
  try {
    const image::SlideInfo info = image::open_slide(path)->info();
    const bool is_picture = info.format == "TIFF" || info.format == "JPEG" || info.format == "PNG";
    return info.levels.size() > 1 || !is_picture;
  } catch (const DataError&) {
    return false;
  }
}

// A model of pictures that are not resized looks like one of tiles whose file is older than the
// settings of slides in it.
void refuse_slide(const fs::path& path, const training::TrainedModel& trained) {
  if (trained.config->data.resize != data::Resize::kNone || !is_slide(path)) return;
  throw DataError(fmt::format(
      "{}: it is a slide, and {} does not say how its slides were cut: ingest it as those were "
      "(dbps ingest --kind tiles), and predict the store",
      path.string(), trained.weights.string()));
}

}  // namespace

std::vector<Input> list_inputs(const std::vector<std::string>& given,
                               const training::TrainedModel& trained) {
  const store::Kind kind = kind_of_files(trained);
  std::vector<Input> inputs;
  for (const std::string& name : given) {
    const fs::path path = name;
    if (fs::exists(path / "store.json")) {
      add_store(path, trained, inputs);
    } else if (fs::is_directory(path) || kind != store::Kind::kImages) {
      add_files(path, kind, inputs);
    } else if (fs::exists(path)) {
      inputs.push_back({path.stem().string(), path});
    } else {
      throw ConfigError(fmt::format("{} does not exist", name));
    }
  }
  name_apart(inputs);
  return inputs;
}

OpenInput open_input(const Input& input, const training::TrainedModel& trained,
                     const OpenOptions& options) {
  const config::Config& config = *trained.config;
  OpenInput open;
  open.store = input.store;
  open.bag = input.bag;
  if (model::reads_vectors(config.encoder)) {
    open.batch = read_vectors(input, config.encoder.width_in);
    return open;
  }
  const data::LoaderOptions loading =
      training::loader_options(config, /*training=*/false, 0, false);
  if (input.slide) cut_slide(input, trained, options, open);
  if (input.slide || input.is_of(store::Kind::kTiles)) {
    open.batch = data::tile_batch(*open.store, open.bag, loading);
    return open;
  }
  if (!input.store) refuse_slide(input.source, trained);
  open.encoded = input.store ? input.store->read(input.bag) : read_file(input.source);
  open.batch = data::cut_encoded(open.encoded, input.source.string(), input.id, loading);
  if (options.keep_picture) {
    image::DecodeOptions decoding;
    decoding.max_pixels = config.data.picture_pixels;
    open.picture = image::decode(open.encoded, input.source.string(), decoding);
  }
  return open;
}

}  // namespace dbps::launcher

// `dbps extract STORE OUT --model RUN | --encoder KIND --weights FILE`
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/text.h"
#include "data/whole_bag.h"
#include "ingest/bag_maker.h"
#include "ingest/labels.h"
#include "launcher/ingestion.h"
#include "launcher/verbs/verbs.h"
#include "model/encoder.h"
#include "store/tile_file.h"
#include "training/extraction.h"

namespace dbps::launcher {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHelp =
    R"(Runs an encoder over every tile of a store of tiles, or every patch of a store of images, and keeps
the vectors in a store of features, on which `encoder.kind = "features"` trains.

Bags keep their ids, sizes and places, and OUT gets the store's labels.csv. What is in OUT already is
skipped, so that the same command goes on where it was interrupted, on any number of ranks; bags that
cannot be read are listed in OUT/failed.csv. OUT's store.json, `dbps inspect OUT` and runs on OUT name
the encoder and the checksum of its weights; another encoder's vectors are refused.

With --model the encoder is that of a run or of a model's file. With --encoder it is one of its own,
without a projector; pictures are cut as --set data.patch_size=..., data.resize=... say.

Examples:
  dbps extract tiles/ features/ --encoder resnet50 --weights resnet50.pth
  dbps extract tiles/ features/ --encoder resnet50 --stages 3 --weights resnet50.pth --type float32
  mpirun -n 8 dbps extract tiles/ features/ --model runs/camelyon16-tiles --precision bf16
  dbps extract pictures/ features/ --encoder resnet18 --weights r18.pth --set data.resize=none \
      --set data.patch_size=100)";

struct Arguments {
  std::string store;
  std::string out;
  training::ExtractionOptions extraction;
  std::string model;
  uint64_t shard_bytes = 4'000'000'000;
  bool strict = false;
};

// The vectors wait in a file until all of the bag are there.
class ExtractionMaker final : public ingest::BagMaker {
 public:
  using Encoded = std::function<void(int64_t vectors, int64_t of_bag)>;

  ExtractionMaker(const store::Reader& from, const fs::path& out, training::Extractor& extractor,
                  Encoded encoded)
      : from_(from),
        out_(out),
        extractor_(extractor),
        encoded_(std::move(encoded)),
        settings_(extractor.settings()) {}

  const store::Settings& settings() const override { return settings_; }

  uint64_t work(const ingest::SourcePicture& source) const override {
    const data::WholeBag bag(from_, from_.find_bag(source.id));
    if (from_.settings().kind == store::Kind::kTiles) return static_cast<uint64_t>(bag.num_tiles());
    return static_cast<uint64_t>(bag.first_part().width * bag.first_part().height);
  }

  ingest::MadeBag make(const ingest::SourcePicture& source, store::Writer& writer) override {
    const int64_t bag = from_.find_bag(source.id);
    const int64_t of_bag = data::WholeBag(from_, bag).num_tiles();
    store::TileFile vectors(out_);
    uint32_t all = 0;
    const auto add = [&](store::Place place, std::span<const uint8_t> vector) {
      all = crc32c(vector.data(), vector.size(), all);
      vectors.add(vector, place.x, place.y);
    };
    ingest::MadeBag made;
    made.source_bytes = static_cast<uint64_t>(
        extractor_.extract(bag, add, [&](int64_t so_far) { encoded_(so_far, of_bag); }));
    if (vectors.tiles().empty()) {
      throw DataError(fmt::format("{}: the bag '{}' is empty", from_.folder().string(), source.id));
    }
    made.stored_bytes = vectors.bytes();
    store::Source origin = from_.source(bag);
    origin.hash = fmt::format("crc32c:{:08x}", all);
    origin.jpeg_tables.clear();
    origin.photometric.clear();
    writer.append(extractor_.describe(bag), origin, vectors);
    return made;
  }

 private:
  const store::Reader& from_;
  const fs::path out_;
  training::Extractor& extractor_;
  const Encoded encoded_;
  const store::Settings settings_;
};

ingest::SourceList list_bags(const store::Reader& store) {
  ingest::SourceList sources;
  for (int64_t bag = 0; bag < store.num_bags(); ++bag) {
    if (store.is_later_part(bag)) continue;
    const std::string& id = store.bag(bag).id;
    sources.pictures.push_back({id, store.folder() / id, {}});
  }
  const fs::path labels = ingest::labels_path(store.folder());
  if (fs::exists(labels)) ingest::add_columns(sources, read_csv(labels));
  return sources;
}

void check_folders(const Arguments& arguments) {
  std::error_code absent;
  if (fs::equivalent(arguments.store, arguments.out, absent)) {
    throw ConfigError(
        fmt::format("OUT is {} itself: give the features a folder of their own", arguments.store));
  }
}

void run(Arguments& arguments, const Context& context) {
  check_folders(arguments);
  arguments.extraction.model.path = arguments.model;
  distributed::World& world = *context.world;
  const store::Reader store(arguments.store);
  const ingest::SourceList sources = list_bags(store);
  const std::string thing = store.settings().kind == store::Kind::kTiles ? "slide" : "picture";
  log::info("{} in {}", counted(static_cast<int64_t>(sources.pictures.size()), thing),
            arguments.store);
  training::Extractor extractor(arguments.extraction, store, world);
  log::info("encoder    {}", store::origin_text(extractor.settings().encoder));

  Progress line("extract", !context.quiet && world.rank() == 0);
  ingest::Progress bags;
  const auto ranks = static_cast<size_t>(world.world_size());
  bags.total = static_cast<int64_t>((sources.pictures.size() + ranks - 1) / ranks);
  const auto show = [&](double part) {
    line.update(fmt::format("{} of {}", bags.done, counted(bags.total, thing)),
                (static_cast<double>(bags.done) + part) / static_cast<double>(bags.total));
  };
  ingest::IngestOptions options;
  options.jobs = 1;  // one encoder a rank; tiles are decoded in threads of their own
  options.shard_bytes = arguments.shard_bytes;
  ingest::Ingestion ingestion(
      sources, arguments.out, options,
      std::make_unique<ExtractionMaker>(
          store, arguments.out, extractor,
          [&](int64_t vectors, int64_t of_bag) {
            show(std::min(1.0, static_cast<double>(vectors) / static_cast<double>(of_bag)));
          }),
      [&](const ingest::Progress& at) {
        bags = at;
        show(0);
      },
      world.rank(), world.world_size());
  const auto summary = make_parts(ingestion, &world);
  if (!summary) return;
  tell(*summary, sources, {arguments.store, arguments.out, thing, arguments.strict}, context);
}

}  // namespace

void add_extract(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  training::ExtractionOptions& extraction = arguments->extraction;
  app.footer(kHelp);
  app.add_option("STORE", arguments->store, "A store of tiles or of images")->required();
  app.add_option("OUT", arguments->out, "The store of features; made when it is not there")
      ->required();
  CLI::Option* model = app.add_option("--model", arguments->model,
                                      "A run's folder, or a .safetensors model: its encoder");
  app.add_option("--checkpoint", extraction.model.checkpoint,
                 "Of a run: best, latest or a checkpoint's name")
      ->capture_default_str()
      ->needs(model);
  CLI::Option* encoder =
      app.add_option("--encoder", extraction.encoder, "An encoder of its own, with --weights")
          ->check(CLI::IsMember(model::encoder_kinds()))
          ->excludes(model);
  app.add_option("--weights", extraction.weights,
                 "Of --encoder: .pth or .safetensors, of the encoder or of a whole model")
      ->needs(encoder);
  app.add_option("--stages", extraction.stages, "Of a ResNet with --encoder: stop after so many")
      ->check(CLI::Range(1, 4))
      ->needs(encoder);
  app.add_option("--type", extraction.type, "Of the vectors' numbers")
      ->check(CLI::IsMember({"float16", "float32"}))
      ->capture_default_str();
  app.add_option("--precision", extraction.precision,
                 "The encoder computes in fp32, bf16, or auto: the faster one")
      ->check(CLI::IsMember({"fp32", "bf16", "auto"}))
      ->capture_default_str();
  app.add_option("--batch", extraction.batch, "Patches that are encoded together")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--set", extraction.model.overrides,
                 "table.key=value (repeatable): data.mean, data.std, distributed.device, ...")
      ->allow_extra_args(false);
  app.add_option("--shard-size", arguments->shard_bytes, "Bytes a shard, e.g. 4GB")
      ->transform(CLI::AsSizeValue(true))
      ->default_str("4GB");
  app.add_flag("--strict", arguments->strict, "End with 65 when a bag could not be used");
  app.callback([arguments, &context] {
    if (arguments->model.empty() && arguments->extraction.encoder.empty()) {
      throw ConfigError("extract needs --model RUN, or --encoder KIND --weights FILE");
    }
    run(*arguments, context);
  });
}

}  // namespace dbps::launcher

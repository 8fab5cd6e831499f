#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "ingest/demo.h"
#include "ingest/demo_scale.h"
#include "ingest/demo_slides.h"
#include "ingest/ingest.h"
#include "ingest/labels.h"
#include "ingest/megapixel.h"
#include "launcher/verbs/verbs.h"

namespace dbps::launcher {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHelp = R"(Makes the demo data: DIR/pictures and DIR/store, ingested from it.

Each picture holds handwritten digits among distracting strokes; its class is the digit that occurs
most, which takes most digits of the picture to tell. With --question lone there is one digit only
among the same strokes, and its class is asked: one patch decides. With --question alike all digits
are of one class: any one of them decides. configs/demo.toml trains on each. --patches makes single digits, strokes and empty paper of the other five classes instead,
which the demo's encoder was trained on beforehand. The same seed and options give the same
pictures.

--megapixel-mnist makes the four tasks of megapixel MNIST instead, in grey pictures of 1500 x 1500:
of five digits among 50 noise strokes, which appears three times, which is the largest, which is the
top-most, and which are there. configs/megapixel_mnist.toml trains on it. Digits come from MNIST's
files (--idx), or from the 8 x 8 digits of the demo.

--slides makes slides instead: pyramidal TIFFs of 10240 x 10240 pixels in DIR/slides, some with small
lesions, DIR/labels.csv that says which, DIR/lesions.csv that says where, and DIR/store of their
tissue's tiles, 64 pixels at 2 microns a pixel each. Half of each split has lesions, in at most 2 %
of a slide's tiles. configs/demo_slides.toml trains on it.

--scale makes no pictures, but a store of tiles with as many slides and tiles as CAMELYON16 has, in
which all slides share few tiles: to measure what such a set asks of this machine (`dbps bench plan`).

Examples:
  dbps make-demo demo/ && dbps train configs/demo.toml --set data.store=demo/store
  dbps make-demo lone/ --question lone
  dbps make-demo hard/ --canvas 512 --distractors 200 220 --seed 1
  dbps make-demo mega/ --megapixel-mnist --idx mnist/
  dbps make-demo slides/ --slides
  dbps make-demo few/ --slides --canvas 2048 --train 4 --validation 2 --test 2
  dbps make-demo scale/ --scale --tiles 70000 70000)";

const std::map<std::string, ingest::DemoQuestion> kQuestions = {
    {"most", ingest::DemoQuestion::kMost},
    {"lone", ingest::DemoQuestion::kLone},
    {"alike", ingest::DemoQuestion::kAlike}};

struct Arguments {
  std::string folder;
  ingest::DemoOptions options;
  ingest::MegapixelOptions megapixel;
  std::optional<int> canvas, train, validation, test;  // each kind of picture has its own defaults
  std::string idx;
  bool is_megapixel = false;
  std::vector<int> digits = {options.digits_min, options.digits_max};
  std::vector<int> distractors = {options.distractors_min, options.distractors_max};
  int jobs = 0;
  bool patches = false;
  bool is_slides = false;
  ingest::DemoScaleOptions scale;
  std::vector<int64_t> tiles = {scale.tiles_min, scale.tiles_max};
  bool is_scale = false;
};

template <typename Options>
void take_splits(const Arguments& arguments, Options& options) {
  options.train = arguments.train.value_or(options.train);
  options.validation = arguments.validation.value_or(options.validation);
  options.test = arguments.test.value_or(options.test);
}

// All kinds of picture have a canvas and numbers of pictures.
template <typename Options>
void take_sizes(const Arguments& arguments, Options& options) {
  options.canvas = arguments.canvas.value_or(options.canvas);
  take_splits(arguments, options);
}

void make_megapixel(Arguments& arguments, const fs::path& pictures, int jobs,
                    const ingest::MakingProgress& progress) {
  ingest::MegapixelOptions& options = arguments.megapixel;
  options.seed = arguments.options.seed;
  take_sizes(arguments, options);
  const bool own = arguments.idx.empty();
  const ingest::DigitPools pools =
      own ? ingest::demo_pools(options.seed) : ingest::mnist_pools(arguments.idx, options.seed);
  if (!own && !ingest::is_mnist(pools)) {
    log::warning("{}: the labels are not distributed as MNIST's 60000 + 10000 are", arguments.idx);
  }
  ingest::make_megapixel_pictures(options, pools, pictures, jobs, progress);
}

void make_demo(Arguments& arguments, const fs::path& pictures, int jobs,
               const ingest::MakingProgress& progress) {
  ingest::DemoOptions& options = arguments.options;
  take_sizes(arguments, options);
  options.digits_min = arguments.digits[0];
  options.digits_max = arguments.digits[1];
  options.distractors_min = arguments.distractors[0];
  options.distractors_max = arguments.distractors[1];
  const auto make = arguments.patches ? ingest::make_demo_patches : ingest::make_demo_pictures;
  make(options, pictures, jobs, progress);
}

void make_slides(Arguments& arguments, const fs::path& slides, int jobs,
                 const ingest::MakingProgress& progress) {
  ingest::DemoSlideOptions options;
  options.seed = arguments.options.seed;
  take_sizes(arguments, options);
  ingest::make_demo_slides(options, slides.parent_path(), jobs, progress);
}

void make_scale(Arguments& arguments, const Context& context) {
  ingest::DemoScaleOptions& options = arguments.scale;
  options.seed = arguments.options.seed;
  options.tiles_min = arguments.tiles[0];
  options.tiles_max = arguments.tiles[1];
  take_splits(arguments, options);
  const fs::path store = fs::path(arguments.folder) / "store";
  ingest::DemoScale made;
  {
    dbps::Progress line("make-demo", !context.quiet);
    made = ingest::make_demo_scale(options, store, [&](int64_t done, int64_t total) {
      line.update(fmt::format("{} of {}", done, counted(total, "shard")),
                  static_cast<double>(done) / static_cast<double>(total));
    });
  }
  if (context.json) {
    fmt::print("{}\n", nlohmann::json{{"store", store.string()},
                                      {"slides", made.slides},
                                      {"tiles", made.tiles},
                                      {"tile_bytes", made.tile_bytes},
                                      {"stored_bytes", made.stored_bytes}}
                           .dump());
    return;
  }
  fmt::print("{}: {} of {} tiles, {} to read, {} on the disk\n", store.string(),
             counted(made.slides, "slide"), made.tiles,
             format_bytes(static_cast<double>(made.tile_bytes)),
             format_bytes(static_cast<double>(made.stored_bytes)));
}

void run(Arguments& arguments, const Context& context) {
  if (arguments.is_scale) return make_scale(arguments, context);
  const char* thing = arguments.is_slides ? "slide" : "picture";
  const fs::path pictures = fs::path(arguments.folder) / (thing + std::string("s"));
  const fs::path store = fs::path(arguments.folder) / "store";
  const int jobs = arguments.jobs > 0 ? arguments.jobs : available_cores();
  {
    dbps::Progress line("make-demo", !context.quiet);
    const auto progress = [&](int64_t done, int64_t total) {
      line.update(fmt::format("{} of {} {}s", done, total, thing),
                  static_cast<double>(done) / static_cast<double>(total));
    };
    const auto make = arguments.is_megapixel ? make_megapixel
                      : arguments.is_slides  ? make_slides
                                             : make_demo;
    make(arguments, pictures, jobs, progress);
  }
  ingest::IngestOptions ingest_options;
  ingest_options.jobs = jobs;
  if (arguments.is_megapixel) ingest_options.channels = 1;
  if (arguments.is_slides) {
    ingest_options.kind = store::Kind::kTiles;
    ingest_options.mpp = ingest::kDemoStoreMpp;
    ingest_options.tile_size = ingest::kDemoStoreTile;
  }
  const fs::path source = arguments.is_megapixel ? pictures / "labels.csv" : pictures;
  ingest::SourceList sources = ingest::find_sources(source, ingest_options.kind);
  if (arguments.is_slides) {
    ingest::add_labels(sources, read_csv(fs::path(arguments.folder) / "labels.csv"));
  }
  const ingest::Summary summary = ingest::ingest(sources, store, ingest_options);
  if (context.json) {
    fmt::print("{}\n", nlohmann::json{{thing + std::string("s"), pictures.string()},
                                      {"store", store.string()},
                                      {"kept", summary.kept},
                                      {"bytes", summary.stored_bytes}}
                           .dump());
    return;
  }
  fmt::print("{}, {}, in {} and in the store {}\n", counted(summary.kept, thing),
             format_bytes(static_cast<double>(summary.stored_bytes)), pictures.string(),
             store.string());
}

// What only the demo's own pictures have.
std::vector<CLI::Option*> add_demo_options(CLI::App& app, Arguments& arguments) {
  ingest::DemoOptions& options = arguments.options;
  std::vector<CLI::Option*> added;
  const auto add = [&](const std::string& name, auto& value, const std::string& help) {
    added.push_back(app.add_option(name, value, help)->capture_default_str());
    return added.back();
  };
  add("--patch", options.patch, "Side of a cell, pixels");
  add("--question", options.question,
      "most: which class occurs most? lone: which class is the only digit of? alike: of "
      "which class are all digits?")
      ->transform(CLI::CheckedTransformer(kQuestions).description("most|lone|alike"))
      ->default_str("most");
  add("--classes", options.classes, "The digits that a picture may ask for");
  add("--digits", arguments.digits, "Least and most digits; not with --question lone")->expected(2);
  add("--distractors", arguments.distractors, "Least and most cells with strokes")->expected(2);
  added.push_back(app.add_flag("--patches", arguments.patches,
                               "Single patches of the other classes, to train an encoder on"));
  add("--patch-train", options.patch_train, "Patches to train on, with --patches");
  add("--patch-validation", options.patch_validation, "Patches to validate on");
  add("--patch-test", options.patch_test, "Patches to test on");
  return added;
}

}  // namespace

void add_make_demo(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  app.footer(kHelp);
  app.add_option("DIR", arguments->folder, "Where to put pictures or slides, and the store")
      ->required();
  app.add_option("--seed", arguments->options.seed, "Decides every picture")->capture_default_str();
  app.add_option("--jobs", arguments->jobs, "Threads; 0: one a core")->capture_default_str();
  app.add_option("--canvas", arguments->canvas,
                 "Side of a picture, pixels: a multiple of --patch [256], or with "
                 "--megapixel-mnist [1500], or a slide's [10240]");
  app.add_option("--train", arguments->train,
                 "Pictures to train on [1000; megapixel: 5000; slides: 60; scale: 270]");
  app.add_option("--validation", arguments->validation,
                 "Pictures to validate on [400; megapixel: 1000; slides: 16; scale: 0]");
  app.add_option("--test", arguments->test,
                 "Pictures to test on [400; megapixel: 1000; slides: 24; scale: 129]");
  const std::vector<CLI::Option*> demo_only = add_demo_options(app, *arguments);
  CLI::Option* megapixel =
      app.add_flag("--megapixel-mnist", arguments->is_megapixel, "Megapixel MNIST's four tasks");
  for (CLI::Option* option : demo_only) megapixel->excludes(option);
  app.add_option("--idx", arguments->idx,
                 "Folder of MNIST's four IDX files (also .gz), with --megapixel-mnist")
      ->needs(megapixel);
  CLI::Option* slides = app.add_flag("--slides", arguments->is_slides,
                                     "Slides of tissue, some with lesions, and a store of tiles")
                            ->excludes(megapixel);
  for (CLI::Option* option : demo_only) slides->excludes(option);
  CLI::Option* scale = app.add_flag("--scale", arguments->is_scale,
                                    "A store of CAMELYON16's size whose slides share few tiles")
                           ->excludes(megapixel)
                           ->excludes(slides)
                           ->excludes("--canvas");
  for (CLI::Option* option : demo_only) scale->excludes(option);
  app.add_option("--tiles", arguments->tiles, "With --scale: least and most tiles of a slide")
      ->expected(2)
      ->needs(scale)
      ->capture_default_str();
  app.add_option("--pool", arguments->scale.pool, "With --scale: how many different tiles")
      ->needs(scale)
      ->capture_default_str();
  const CLI::Option* digits = app.get_option("--digits");
  app.callback([arguments, digits, &context] {
    if (digits->count() > 0 && arguments->options.question == ingest::DemoQuestion::kLone) {
      throw ConfigError(
          "make-demo: --digits does not go with --question lone, which has one digit");
    }
    run(*arguments, context);
  });
}

}  // namespace dbps::launcher

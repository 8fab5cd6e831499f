#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "ingest/demo.h"
#include "ingest/ingest.h"
#include "launcher/verbs/verbs.h"

namespace dbps::launcher {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHelp = R"(Makes the demo data: DIR/pictures and DIR/store, ingested from it.

Each picture holds handwritten digits among distracting strokes; its class is the digit that occurs
most, which takes most digits of the picture to tell. With --question lone there is one digit only
among the same strokes, and its class is asked: one patch decides. configs/demo.toml trains on
either. --patches makes single digits, strokes and empty paper of the other five classes instead,
which the demo's encoder was trained on beforehand. The same seed and options give the same
pictures.

Examples:
  dbps make-demo demo/ && dbps train configs/demo.toml --set data.store=demo/store
  dbps make-demo lone/ --question lone
  dbps make-demo hard/ --canvas 512 --distractors 200 220 --seed 1)";

const std::map<std::string, ingest::DemoQuestion> kQuestions = {
    {"most", ingest::DemoQuestion::kMost}, {"lone", ingest::DemoQuestion::kLone}};

struct Arguments {
  std::string folder;
  ingest::DemoOptions options;
  std::vector<int> digits = {options.digits_min, options.digits_max};
  std::vector<int> distractors = {options.distractors_min, options.distractors_max};
  int jobs = 0;
  bool patches = false;
  bool slides = false;
};

void run(Arguments& arguments, const Context& context) {
  if (arguments.slides) throw ConfigError("make-demo --slides is not yet supported");
  ingest::DemoOptions& options = arguments.options;
  options.digits_min = arguments.digits[0];
  options.digits_max = arguments.digits[1];
  options.distractors_min = arguments.distractors[0];
  options.distractors_max = arguments.distractors[1];
  const fs::path pictures = fs::path(arguments.folder) / "pictures";
  const fs::path store = fs::path(arguments.folder) / "store";
  const int jobs = arguments.jobs > 0 ? arguments.jobs : available_cores();
  {
    dbps::Progress line("make-demo", !context.quiet);
    const auto progress = [&](int64_t done, int64_t total) {
      line.update(fmt::format("{} of {} pictures", done, total),
                  static_cast<double>(done) / static_cast<double>(total));
    };
    const auto make = arguments.patches ? ingest::make_demo_patches : ingest::make_demo_pictures;
    make(options, pictures, jobs, progress);
  }
  ingest::IngestOptions ingest_options;
  ingest_options.jobs = jobs;
  const ingest::Summary summary =
      ingest::ingest(ingest::find_sources(pictures), store, ingest_options);
  if (context.json) {
    fmt::print("{}\n", nlohmann::json{{"pictures", pictures.string()},
                                      {"store", store.string()},
                                      {"kept", summary.kept},
                                      {"bytes", summary.stored_bytes}}
                           .dump());
    return;
  }
  fmt::print("{} pictures, {}, in {} and in the store {}\n", summary.kept,
             format_bytes(static_cast<double>(summary.stored_bytes)), pictures.string(),
             store.string());
}

}  // namespace

void add_make_demo(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  ingest::DemoOptions& options = arguments->options;
  app.footer(kHelp);
  app.add_option("DIR", arguments->folder, "Where to put pictures and store")->required();
  app.add_option("--seed", options.seed, "Decides every picture")->capture_default_str();
  app.add_option("--canvas", options.canvas, "Side of a picture, pixels; a multiple of --patch")
      ->capture_default_str();
  app.add_option("--patch", options.patch, "Side of a cell, pixels")->capture_default_str();
  app.add_option("--train", options.train, "Pictures to train on")->capture_default_str();
  app.add_option("--validation", options.validation, "Pictures to validate on")
      ->capture_default_str();
  app.add_option("--test", options.test, "Pictures to test on")->capture_default_str();
  app.add_option("--question", options.question,
                 "most: which class occurs most? lone: which class is the only digit of?")
      ->transform(CLI::CheckedTransformer(kQuestions).description("most|lone"))
      ->default_str("most");
  app.add_option("--classes", options.classes, "The digits that a picture may ask for")
      ->capture_default_str();
  const CLI::Option* digits =
      app.add_option("--digits", arguments->digits, "Least and most digits, with --question most")
          ->expected(2)
          ->capture_default_str();
  app.add_option("--distractors", arguments->distractors, "Least and most cells with strokes")
      ->expected(2)
      ->capture_default_str();
  app.add_flag("--patches", arguments->patches,
               "Single patches of the other classes, to train an encoder on");
  app.add_option("--patch-train", options.patch_train, "Patches to train on, with --patches")
      ->capture_default_str();
  app.add_option("--patch-validation", options.patch_validation, "Patches to validate on")
      ->capture_default_str();
  app.add_option("--patch-test", options.patch_test, "Patches to test on")->capture_default_str();
  app.add_option("--jobs", arguments->jobs, "Threads; 0: one a core")->capture_default_str();
  app.add_flag("--slides", arguments->slides, "Comes later");
  app.callback([arguments, digits, &context] {
    if (digits->count() > 0 && arguments->options.question == ingest::DemoQuestion::kLone) {
      throw ConfigError("make-demo: --digits goes with --question most; `lone` has one digit");
    }
    run(*arguments, context);
  });
}

}  // namespace dbps::launcher

// `dbps export RUN FILE.safetensors`, and `dbps export STORE DIR --layout clam|trident`
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/text.h"
#include "launcher/verb.h"
#include "launcher/verbs/verbs.h"
#include "model/model_weights.h"
#include "store/slide_layouts.h"
#include "training/model_card.h"
#include "training/trained_model.h"

namespace dbps::launcher {
namespace {

struct Options {
  training::ModelSource source;
  std::string run;
  std::string file;
  std::string weights;
  std::string names = "dbps";
  std::string layout;
};

void export_slides(const Options& options, const Context& context) {
  const store::SlideLayout layout = store::slide_layout_of(options.layout);
  if (context.world->rank() > 0) return;
  const store::Reader reader(options.run);
  store::WrittenSlides written;
  {
    Progress line("export", !context.quiet);
    written = store::write_slides(reader, options.file, layout, [&](int64_t done, int64_t total) {
      line.update(fmt::format("{} of {}", done, counted(total, "slide")),
                  static_cast<double>(done) / static_cast<double>(total));
    });
  }
  if (context.json) {
    fmt::print("{}\n", nlohmann::json{{"folder", written.folder.string()},
                                      {"slides", written.slides},
                                      {"patches", written.patches}}
                           .dump());
    return;
  }
  fmt::print("{}: {} of {}\n", written.folder.string(), counted(written.slides, "slide"),
             counted(written.patches, "patch", "patches"));
}

void run_export(const Options& options, Context& context) {
  if (!options.layout.empty()) {
    export_slides(options, context);
    return;
  }
  const model::Names names = model::names_of(options.names);
  training::ModelSource source = options.source;
  source.path = options.run;
  source.weights = options.weights;
  check_folder_of(options.file);
  const training::TrainedModel trained = training::load_trained_model(source, *context.world);
  std::map<std::string, std::string> metadata = trained.metadata;
  if (!options.weights.empty()) {
    metadata = training::model_card(*trained.config, trained.slides, 0, 0);
  }
  // What other readers of encoder weights look for.
  if (names == model::Names::kTorchvision) metadata = {{"format", "pt"}};
  model::write_weights(options.file, model::exported(trained.model->tensors(), names), metadata);
  fmt::print("{}\n", options.file);
}

}  // namespace

void add_export(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  app.description(
      "Write a run's weights, with all that `predict` needs in the header. With --weights, turn "
      "another program's file into one. With --layout, write a store's coordinates and features as "
      "another tool reads them.");
  app.add_option("RUN", options->run,
                 "A run's folder, a .safetensors model, with --weights a configuration, or with "
                 "--layout a store of tiles or features")
      ->required();
  app.add_option("FILE", options->file,
                 "The .safetensors file to write, or with --layout the folder")
      ->required();
  app.add_option("--checkpoint", options->source.checkpoint, "best, latest or a checkpoint's name")
      ->capture_default_str();
  app.add_option("--weights", options->weights,
                 "With a configuration: a whole model's weights, our names or upstream's");
  app.add_option("--names", options->names,
                 "dbps: the whole model; upstream: the whole model in the released code's names; "
                 "torchvision: the encoder alone, in its names")
      ->capture_default_str();
  app.add_option("--layout", options->layout,
                 "clam: FILE/patches or FILE/h5_files; trident: FILE/patches or FILE/features; an "
                 "HDF5 file a slide")
      ->excludes("--checkpoint", "--weights", "--names");
  app.footer(
      "Examples:\n"
      "  dbps export runs/demo-0 demo.safetensors\n"
      "  dbps export runs/tiny tiny.safetensors --names torchvision\n"
      "  dbps export configs/own.toml model.safetensors --weights upstream.pth\n"
      "  dbps export features_store/ clam/ --layout clam");
  app.callback([options, &context] { run_export(*options, context); });
}

}  // namespace dbps::launcher

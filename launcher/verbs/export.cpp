// `dbps export RUN FILE.safetensors`
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "base/error.h"
#include "launcher/verb.h"
#include "launcher/verbs/verbs.h"
#include "model/weights.h"
#include "training/model_card.h"
#include "training/trained_model.h"

namespace dbps::launcher {
namespace {

struct Options {
  training::ModelSource source;
  std::string run;
  std::string file;
  std::string names = "dbps";
};

constexpr std::string_view kEncoderPrefix = "encoder.";

void run_export(const Options& options, Context& context) {
  if (options.names == "upstream") {
    throw ConfigError(
        "--names upstream is foreseen but not built yet; there are dbps and torchvision");
  }
  if (options.names != "dbps" && options.names != "torchvision") {
    throw ConfigError(fmt::format("--names {}: there are dbps and torchvision", options.names));
  }
  training::ModelSource source = options.source;
  source.path = options.run;
  const training::TrainedModel trained = training::load_trained_model(source, *context.world);
  std::vector<model::NamedTensor> tensors = trained.model->tensors();
  std::map<std::string, std::string> metadata = model::read_weights(trained.weights).metadata;
  if (options.names == "torchvision") {
    metadata = {{"format", "pt"}};  // what other readers of encoder weights look for
    std::erase_if(tensors, [](const model::NamedTensor& tensor) {
      return !tensor.name.starts_with(kEncoderPrefix);
    });
    for (model::NamedTensor& tensor : tensors) tensor.name.erase(0, kEncoderPrefix.size());
  }
  model::write_weights(options.file, tensors, metadata);
  fmt::print("{}\n", options.file);
}

}  // namespace

void add_export(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  app.description("Write a run's weights, with all that `predict` needs in the header.");
  app.add_option("RUN", options->run, "A run's folder or a .safetensors model")->required();
  app.add_option("FILE", options->file, "The .safetensors file to write")->required();
  app.add_option("--checkpoint", options->source.checkpoint, "best, latest or a checkpoint's name")
      ->capture_default_str();
  app.add_option("--names", options->names,
                 "dbps: the whole model; torchvision: the encoder alone, in its names")
      ->capture_default_str();
  app.footer(
      "Examples:\n"
      "  dbps export runs/demo-0 demo.safetensors\n"
      "  dbps export runs/tiny tiny.safetensors --names torchvision");
  app.callback([options, &context] { run_export(*options, context); });
}

}  // namespace dbps::launcher

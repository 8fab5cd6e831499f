#include "training/trained_model.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "distributed/collectives.h"
#include "model/weights.h"
#include "training/model_card.h"
#include "training/resolve.h"
#include "training/run_folder.h"

namespace dbps::training {
namespace {

namespace fs = std::filesystem;

fs::path weights_of_run(const fs::path& run, const std::string& checkpoint) {
  const fs::path checkpoints = run / "checkpoints";
  std::string name = checkpoint;
  if (checkpoint == "best" || checkpoint == "latest") {
    if (!fs::exists(checkpoints / checkpoint)) {
      throw DataError(
          fmt::format("{} has no checkpoint '{}' yet: train it first, or name another "
                      "with --checkpoint",
                      run.string(), checkpoint));
    }
    name = trim(read_text_file(checkpoints / checkpoint));
  }
  return checkpoints / name / "model.safetensors";
}

void fill(model::Model& model, const model::WeightsFile& file, const fs::path& path) {
  std::vector<model::NamedTensor> into = model.parameters();
  for (model::NamedTensor& buffer : model.buffers()) into.push_back(std::move(buffer));
  model::load_into(into, file, path);
}

config::Config trained_config(const ModelSource& source, const model::WeightsFile& file,
                              const fs::path& weights) {
  if (!source.weights.empty()) return config::load(source.path, source.overrides);
  config::Config config = config_of_card(file.metadata, weights);
  // What the training's machine decided.
  config.distributed.device = distributed::DeviceKind::kAuto;
  config.distributed.threads = 0;
  config.data.decode_threads = 0;
  config.data.host_bytes = 0;
  return config::parse(config::to_toml(config, /*comments=*/false), weights.string(),
                       source.overrides);
}

}  // namespace

bool is_run(const fs::path& path) { return fs::is_directory(path) && RunFolder{path}.begun(); }

TrainedModel load_trained_model(const ModelSource& source, distributed::World& world) {
  fs::path weights = source.weights;
  if (weights.empty()) {
    weights = is_run(source.path) ? weights_of_run(source.path, source.checkpoint) : source.path;
  }
  const model::WeightsFile file = model::read_weights(weights);

  config::Config config = trained_config(source, file, weights);
  config.encoder.weights.clear();  // all weights come from the file
  const at::Device device = distributed::choose_device(world, config.distributed);

  TrainedModel trained;
  trained.config =
      std::make_unique<config::Config>(resolve_machine(config, std::nullopt, world, device));
  at::set_num_threads(static_cast<int>(trained.config->distributed.threads));
  const at::ScalarType type =
      trained.config->training.precision == Precision::kFp64 ? at::kDouble : at::kFloat;
  trained.model = std::make_unique<model::Model>(
      model::ModelOptions{trained.config->encoder, trained.config->aggregator,
                          trained.config->tasks},
      device, type, trained.config->experiment.seed);
  fill(*trained.model, file, weights);
  trained.pass = std::make_unique<Pass>(*trained.model, trained.config->selection);
  trained.weights = weights;
  return trained;
}

}  // namespace dbps::training

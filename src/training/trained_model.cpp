#include "training/trained_model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "distributed/collectives.h"
#include "model/model_weights.h"
#include "training/device_memory.h"
#include "training/model_card.h"
#include "training/precision.h"
#include "training/resolve.h"
#include "training/run_folder.h"
#include "training/slide_scale.h"

namespace dbps::training {
namespace {

namespace fs = std::filesystem;

// The weights and where they came from; a checkpoint's are checked against its manifest.
model::WeightsFile read_source(const ModelSource& source, fs::path& path) {
  if (!source.weights.empty() || !is_run(source.path)) {
    path = source.weights.empty() ? source.path : source.weights;
    if (!fs::is_regular_file(path)) {
      throw ConfigError(
          fmt::format("{} is neither a run's folder nor a model's file", path.string()));
    }
    return model::read_model_weights(path);
  }
  checkpoint::Manager manager(source.path, /*keep=*/1);
  const checkpoint::Loaded loaded = manager.load(source.checkpoint);
  path = loaded.folder / "model.safetensors";
  model::WeightsFile file;
  for (const auto& [name, tensor] : loaded.snapshot.model) file.tensors.push_back({name, tensor});
  file.metadata = loaded.snapshot.model_metadata;
  return file;
}

config::Config trained_config(const ModelSource& source, const model::WeightsFile& file,
                              const fs::path& weights) {
  if (!source.weights.empty()) return config::load(source.path, source.overrides);
  config::Config config = config_of_card(file.metadata, weights);
  // What the training's machine decided.
  config.distributed.device = distributed::DeviceKind::kAuto;
  config.distributed.threads = 0;
  config.distributed.patch_group = 1;
  config.data.decode_threads = 0;
  config.data.host_bytes = 0;
  config.data.device_bytes = 0;
  return config::with_overrides(config, source.overrides);
}

// A configuration that was never trained takes the vectors' width from the weights.
void find_width_in(config::Config& config, const model::WeightsFile& file) {
  if (!model::reads_vectors(config.encoder) || config.encoder.width_in > 0) return;
  for (const model::NamedTensor& named : file.tensors) {
    if (named.name == "encoder.projector.linear.weight" && named.tensor.dim() == 2) {
      config.encoder.width_in = named.tensor.size(1);
    }
  }
}

}  // namespace

bool is_run(const fs::path& path) { return fs::is_directory(path) && RunFolder{path}.begun(); }

TrainedModel load_trained_model(const ModelSource& source, distributed::World& world) {
  fs::path weights;
  const model::WeightsFile file = read_source(source, weights);

  config::Config config = trained_config(source, file, weights);
  config.encoder.weights.clear();  // all weights come from the file
  for (const model::TaskOptions& task : config.tasks) {
    if (!task.classes.empty()) continue;
    throw ConfigError(
        fmt::format("task.{}.classes: the classes' names are not known: list them in {}", task.name,
                    source.path.string()));
  }
  find_width_in(config, file);
  const at::Device device = distributed::choose_device(world, config.distributed);

  count_tensor_bytes(device);
  TrainedModel trained;
  trained.config = std::make_unique<config::Config>(resolve_machine(config, world, device));
  set_numerics(trained.config->distributed);
  resolve_precision(*trained.config, device, world);
  trained.model = std::make_unique<model::Model>(
      model::ModelOptions{trained.config->encoder, trained.config->aggregator,
                          trained.config->tasks},
      device, tensor_type(trained.config->training.precision), trained.config->experiment.seed);
  model::load_model(trained.model->tensors(), file, weights);
  trained.metadata = file.metadata;
  trained.slides = read_slides(file.metadata, weights);
  trained.group = distributed::make_group_collectives(world, trained.config->distributed, device);
  trained.pass =
      std::make_unique<Pass>(*trained.model, trained.config->selection,
                             compute_types(trained.config->training), trained.group.get());
  trained.weights = weights;
  return trained;
}

}  // namespace dbps::training

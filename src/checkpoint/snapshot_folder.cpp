#include "checkpoint/snapshot_folder.h"

#include "base/files.h"
#include "checkpoint/manifest.h"
#include "model/weights.h"

namespace dbps::checkpoint {
namespace {

std::vector<model::NamedTensor> named(const NamedTensors& tensors) {
  std::vector<model::NamedTensor> result;
  for (const auto& [name, tensor] : tensors) result.push_back({name, tensor});
  return result;
}

NamedTensors pairs(const std::vector<model::NamedTensor>& tensors) {
  NamedTensors result;
  for (const model::NamedTensor& entry : tensors) result.emplace_back(entry.name, entry.tensor);
  return result;
}

}  // namespace

void write_snapshot(const std::filesystem::path& folder, const Snapshot& snapshot) {
  model::write_weights(folder / "model.safetensors", named(snapshot.model),
                       snapshot.model_metadata);
  model::write_weights(folder / "optimizer.safetensors", named(snapshot.optimizer), {});
  write_file_atomic(folder / "state.json", snapshot.state);
  write_manifest(folder, snapshot.step);
}

Snapshot read_snapshot(const std::filesystem::path& folder, int64_t step) {
  verify_manifest(folder, step);
  Snapshot snapshot;
  snapshot.step = step;
  const model::WeightsFile model = model::read_weights(folder / "model.safetensors");
  snapshot.model = pairs(model.tensors);
  snapshot.model_metadata = model.metadata;
  snapshot.optimizer = pairs(model::read_weights(folder / "optimizer.safetensors").tensors);
  snapshot.state = read_text_file(folder / "state.json");
  return snapshot;
}

}  // namespace dbps::checkpoint

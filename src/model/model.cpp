#include "model/model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "base/error.h"
#include "model/model_weights.h"

namespace dbps::model {
namespace {

template <typename Part, typename Get>
void append(std::vector<NamedTensor>& all, const std::string& prefix, Part& part, Get get) {
  for (const NamedTensor& named : get(part.parameters())) {
    all.push_back({prefix + named.name, named.tensor});
  }
}

template <typename Get>
std::vector<NamedTensor> gather(Encoder& encoder, Aggregator& aggregator, Heads& heads, Get get) {
  std::vector<NamedTensor> all;
  append(all, "encoder.", encoder, get);
  append(all, "aggregator.", aggregator, get);
  append(all, "heads.", heads, get);
  return all;
}

}  // namespace

Model::Model(const ModelOptions& options, at::Device device, at::ScalarType dtype, int64_t seed)
    : options_(options) {
  const at::TensorOptions tensor = at::TensorOptions(device).dtype(dtype);
  const auto tasks = static_cast<int64_t>(options.tasks.size());
  DBPS_CHECK(tasks >= 1, "a model needs a task");
  encoder_ = make_encoder(options.encoder, tensor, seed, statistics_);
  const int64_t width = encoder_->spec().width;
  aggregator_ = make_aggregator(options.aggregator, width, tasks, tensor, seed);
  heads_ = std::make_unique<Heads>(options.tasks, width, tensor, seed);
  statistics_.allocate();
  if (!options.encoder.weights.empty()) load_encoder(*encoder_, options.encoder.weights);
}

at::Tensor Model::scan_logits(const at::Tensor& embeddings_nD, const at::Tensor& places_n) {
  const c10::NoGradGuard no_grad;
  if (aggregator_->classifies_patches()) return heads_->confidences(embeddings_nD.unsqueeze(1));
  return aggregator_->scan_logits(embeddings_nD, places_n);
}

std::vector<NamedTensor> Model::parameters() const {
  return gather(*encoder_, *aggregator_, *heads_,
                [](const Parameters& part) { return part.parameters(); });
}

std::vector<NamedTensor> Model::buffers() const {
  return gather(*encoder_, *aggregator_, *heads_,
                [](const Parameters& part) { return part.buffers(); });
}

std::vector<NamedTensor> Model::tensors() const {
  std::vector<NamedTensor> all = parameters();
  for (NamedTensor& buffer : buffers()) all.push_back(std::move(buffer));
  return all;
}

}  // namespace dbps::model

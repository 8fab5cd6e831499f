#include "model/model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "model/projector.h"
#include "model/weights.h"

namespace dbps::model {
namespace {

constexpr std::string_view kEncoderPrefix = "encoder.";

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

// The encoder's tensors of a file, by their bare names: of a whole model of ours its part
// "encoder.", else all but those that the encoder says it does not use.
WeightsFile encoder_part(const WeightsFile& file, const EncoderSpec& spec) {
  const bool whole_model =
      std::any_of(file.tensors.begin(), file.tensors.end(),
                  [](const NamedTensor& named) { return named.name.starts_with(kEncoderPrefix); });
  WeightsFile part;
  for (const NamedTensor& named : file.tensors) {
    std::string name = named.name;
    if (whole_model) {
      if (!name.starts_with(kEncoderPrefix)) continue;
      name.erase(0, kEncoderPrefix.size());
    }
    const bool unused =
        std::any_of(spec.unused_weights.begin(), spec.unused_weights.end(),
                    [&](const std::string& start) { return name.starts_with(start); });
    if (!unused && !name.ends_with(".num_batches_tracked")) {
      part.tensors.push_back({name, named.tensor});
    }
  }
  return part;
}

bool is_for_other_channels(const NamedTensor& named, const EncoderSpec& spec) {
  return named.name == spec.replaced_stem && named.tensor.dim() == 4 &&
         named.tensor.size(1) != spec.channels;
}

void load_encoder(Encoder& encoder, const std::string& path) {
  const EncoderSpec& spec = encoder.spec();
  WeightsFile part = encoder_part(read_weights(path), spec);
  const auto projects = [](const NamedTensor& named) {
    return named.name.starts_with(kProjectorPrefix);
  };
  std::vector<NamedTensor> into = encoder.parameters().parameters();
  const std::vector<NamedTensor>& buffers = encoder.parameters().buffers();
  into.insert(into.end(), buffers.begin(), buffers.end());
  const auto removed = std::erase_if(
      part.tensors, [&](const NamedTensor& named) { return is_for_other_channels(named, spec); });
  if (removed > 0) {
    log::info("{}: {} is for another number of channels; ours stays random", path,
              spec.replaced_stem);
    std::erase_if(into, [&](const NamedTensor& named) { return named.name == spec.replaced_stem; });
  }
  // Published weights end at the pooling: a projector then keeps its random ones.
  if (std::none_of(part.tensors.begin(), part.tensors.end(), projects)) {
    std::erase_if(into, projects);
  }
  load_into(into, part, path);
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

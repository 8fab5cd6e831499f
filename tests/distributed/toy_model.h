// A small network whose micro-batches may leave some parameters unused, and its gradients computed
// by plain autograd.
#pragma once

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dbps::distributed {

struct ToyModel {
  std::vector<std::pair<std::string, at::Tensor>> parameters;

  // The same values for the same seed. The first layer's weight is channels-last, as a scan likes
  // it.
  ToyModel(uint64_t seed, at::ScalarType type) {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    const auto add = [&](const std::string& name, at::IntArrayRef sizes) {
      at::Tensor value = at::randn(sizes, generator, at::TensorOptions().dtype(type));
      if (sizes.size() == 4) value = value.contiguous(at::MemoryFormat::ChannelsLast);
      parameters.emplace_back(name, value.set_requires_grad(true));
    };
    add("conv.weight", {6, 3, 3, 3});
    add("conv.bias", {6});
    add("head_a.weight", {5, 6});
    add("head_a.bias", {5});
    add("head_b.weight", {7, 6});
  }

  const at::Tensor& operator[](size_t i) const { return parameters[i].second; }

  // heads: 1 uses head a, 2 head b, 3 both.
  at::Tensor loss(uint64_t picture, int heads) const {
    at::Generator generator = at::detail::createCPUGenerator(picture);
    const at::Tensor input = at::randn({2, 3, 8, 8}, generator, (*this)[0].options());
    const at::Tensor features =
        at::conv2d(input.detach(), (*this)[0], (*this)[1]).relu().mean(at::IntArrayRef{2, 3});
    at::Tensor loss = at::zeros({}, (*this)[0].options().requires_grad(false));
    if (heads & 1) loss = loss + at::linear(features, (*this)[2], (*this)[3]).square().sum();
    if (heads & 2) loss = loss + at::linear(features, (*this)[4]).square().sum();
    return loss;
  }
};

struct MicroBatch {
  uint64_t picture = 0;
  int heads = 3;
};

// Summed over `batches`; zeros where nothing was used.
inline std::vector<at::Tensor> plain_gradients(uint64_t seed, at::ScalarType type,
                                               const std::vector<MicroBatch>& batches) {
  const ToyModel model(seed, type);
  for (const MicroBatch& batch : batches) model.loss(batch.picture, batch.heads).backward();
  std::vector<at::Tensor> result;
  for (const auto& [name, tensor] : model.parameters) {
    result.push_back(tensor.grad().defined() ? tensor.grad() : at::zeros_like(tensor).detach());
  }
  return result;
}

}  // namespace dbps::distributed

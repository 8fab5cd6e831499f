// Initial weights (method.md 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "base/random.h"

namespace dbps::model {

// Draws each parameter from a stream of its own, named by seed and parameter, on the CPU in fp64,
// then casts: values depend neither on the device nor on the order of registration.
class Initializer {
 public:
  // `part` ("encoder") stands before each name, so that parts with equal names differ.
  Initializer(int64_t seed, at::TensorOptions tensor, std::string part);

  // Normal with standard deviation sqrt(2 / fan-out): weights (out, in, k, k) followed by ReLU.
  at::Tensor kaiming_normal(const std::string& name, at::IntArrayRef shape) const;
  // U(-bound, bound).
  at::Tensor uniform(const std::string& name, at::IntArrayRef shape, double bound) const;
  // PyTorch's default of Linear and Conv2d, weight and bias alike: U(+-1 / sqrt(fan-in)).
  at::Tensor fan_in_uniform(const std::string& name, at::IntArrayRef shape, int64_t fan_in) const;
  at::Tensor constant(at::IntArrayRef shape, double value) const;

 private:
  at::Tensor draw(const std::string& name, at::IntArrayRef shape,
                  const std::function<double(RandomStream&)>& next) const;

  int64_t seed_;
  at::TensorOptions tensor_;
  std::string part_;
};

}  // namespace dbps::model

#include "model/initialize.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

namespace dbps::model {

Initializer::Initializer(int64_t seed, at::TensorOptions tensor, std::string part)
    : seed_(seed), tensor_(tensor), part_(std::move(part)) {}

at::Tensor Initializer::draw(const std::string& name, at::IntArrayRef shape,
                             const std::function<double(RandomStream&)>& next) const {
  const std::string full = part_ + "." + name;
  RandomStream random(static_cast<uint64_t>(seed_), Purpose::kInitialize, 0,
                      stable_hash(full.data(), full.size()));
  at::Tensor values = at::empty(shape, at::kDouble);
  double* data = values.data_ptr<double>();
  for (int64_t i = 0; i < values.numel(); ++i) data[i] = next(random);
  return values.to(tensor_);
}

at::Tensor Initializer::kaiming_normal(const std::string& name, at::IntArrayRef shape) const {
  const int64_t fan_out = shape[0] * shape[2] * shape[3];
  const double deviation = std::sqrt(2.0 / static_cast<double>(fan_out));
  return draw(name, shape, [=](RandomStream& random) { return deviation * random.normal(); });
}

at::Tensor Initializer::uniform(const std::string& name, at::IntArrayRef shape,
                                double bound) const {
  return draw(name, shape, [=](RandomStream& random) { return random.uniform(-bound, bound); });
}

at::Tensor Initializer::fan_in_uniform(const std::string& name, at::IntArrayRef shape,
                                       int64_t fan_in) const {
  return uniform(name, shape, 1.0 / std::sqrt(static_cast<double>(fan_in)));
}

at::Tensor Initializer::constant(at::IntArrayRef shape, double value) const {
  return at::full(shape, value, tensor_);
}

}  // namespace dbps::model

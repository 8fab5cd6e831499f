#include "model/parameters.h"

#include <ATen/ATen.h>

#include <utility>

namespace dbps::model {

at::Tensor Parameters::add(const std::string& name, at::Tensor value) {
  value.requires_grad_(true);
  parameters_.push_back({name, value});
  return value;
}

at::Tensor Parameters::add_buffer(const std::string& name, at::Tensor value) {
  buffers_.push_back({name, value});
  return value;
}

void Parameters::freeze() {
  for (const NamedTensor& parameter : parameters_) parameter.tensor.set_requires_grad(false);
}

}  // namespace dbps::model

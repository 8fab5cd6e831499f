// Named parameters and buffers of a part of the model, in order of registration.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace dbps::model {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

// Tensors are shared handles: who holds a copy of the entry holds the same memory. Names are those
// of the weights files ("layer1.0.conv1.weight"), without the part's prefix.
class Parameters {
 public:
  at::Tensor add(const std::string& name, at::Tensor value);         // requires grad
  at::Tensor add_buffer(const std::string& name, at::Tensor value);  // running statistics
  void freeze();  // no parameter requires grad any more
  const std::vector<NamedTensor>& parameters() const { return parameters_; }
  const std::vector<NamedTensor>& buffers() const { return buffers_; }

 private:
  std::vector<NamedTensor> parameters_;
  std::vector<NamedTensor> buffers_;
};

}  // namespace dbps::model

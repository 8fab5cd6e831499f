// ResNet-18 as plain PyTorch runs it, for the scan and the step to be held against: one operator
// after the other, BatchNorm by itself, the layout (n, C, h, w).
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "model/model.h"

namespace dbps::bench {

class PlainResnet18 {
 public:
  // Of a model with encoder.kind = "resnet18" and no projector, whose tensors it shares.
  explicit PlainResnet18(const model::Model& model);

  // (n, 3, h, w) -> (n, 512). training: batch statistics, which also move the running ones.
  at::Tensor embed(const at::Tensor& patches, bool training) const;

 private:
  at::Tensor normalised(const std::string& convolution, const std::string& norm,
                        const at::Tensor& x, int64_t stride, bool training) const;

  std::map<std::string, at::Tensor> tensors_;
};

// Multiplications of a patch of side x side pixels, each with an addition (runtime.md's count of
// multiply-adds).
double multiply_adds(int64_t side);

}  // namespace dbps::bench

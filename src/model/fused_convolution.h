// A convolution of the scan: bias, residual and ReLU in one pass over memory where the device's
// library can. Evaluation only: no gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "model/onednn_convolution.h"
#include "model/winograd.h"

namespace dbps::model {

enum class Activation { kNone, kRelu };

// weight is (D, C, k, k), bias (D), both of the type to compute in: fp32 and bf16 go through oneDNN
// on the CPU and cuDNN on a GPU, 3 x 3 convolutions in fp32 on the CPU through WinogradConvolution,
// everything else (fp64) through ATen in several passes.
class FusedConvolution {
 public:
  // Shares the weight, which must not change. The first call copies it into the form that pictures
  // of that size are computed fastest from; calls one at a time.
  FusedConvolution(const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                   int64_t padding);

  // (n, C, h, w) -> (n, D, h', w'), channels-last: activation(convolution + bias + residual);
  // residual may be undefined, and is given with kRelu alone.
  at::Tensor operator()(const at::Tensor& x, Activation activation, const at::Tensor& residual);

 private:
  at::Tensor weight_;
  at::Tensor bias_;
  int64_t stride_;
  int64_t padding_;
  std::optional<OneDnnConvolution> onednn_;
  std::optional<WinogradConvolution> winograd_;
};

}  // namespace dbps::model

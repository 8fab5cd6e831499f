// A convolution by oneDNN on the CPU with bias, residual and ReLU in one pass over memory.
// Evaluation only: no gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dbps::model {

struct ConvolutionShape {
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t groups = 1;
};

class OneDnnConvolution {
 public:
  // fp32 or bf16 on the CPU, and a LibTorch that has oneDNN, not switched off.
  static bool serves(const at::Tensor& weight);

  // weight is (D, C / groups, k, k), bias (D) or undefined, of one type. Copies the weight into the
  // layout that oneDNN computes fastest from for x of size `input`; for x that wants another one it
  // is copied once more at every call.
  OneDnnConvolution(const at::Tensor& weight, const at::Tensor& bias, ConvolutionShape shape,
                    at::IntArrayRef input);

  // (n, C, h, w), channels-last -> (n, D, h', w'), channels-last: convolution + bias + residual,
  // cut at zero if `relu`. A residual, which may be undefined, asks for `relu`.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& residual, bool relu) const;

 private:
  at::Tensor weight_;
  at::Tensor bias_;
  ConvolutionShape shape_;
};

}  // namespace dbps::model

#include "model/fused_convolution.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <vector>

#include "base/error.h"

namespace dbps::model {
namespace {

std::vector<int64_t> both(int64_t value) { return {value, value}; }

at::Tensor cudnn(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                 int64_t stride, int64_t padding, const at::Tensor& residual) {
  if (!residual.defined()) {
    return at::cudnn_convolution_relu(x, weight, bias, both(stride), both(padding), both(1), 1);
  }
  return at::cudnn_convolution_add_relu(x, weight, residual, at::Scalar(1.0), bias, both(stride),
                                        both(padding), both(1), 1);
}

}  // namespace

FusedConvolution::FusedConvolution(const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                                   int64_t padding)
    : weight_(weight), bias_(bias), stride_(stride), padding_(padding) {}

at::Tensor FusedConvolution::operator()(const at::Tensor& x, Activation activation,
                                        const at::Tensor& residual) {
  const c10::NoGradGuard no_grad;
  const bool relu = activation == Activation::kRelu;
  DBPS_CHECK(relu || !residual.defined(), "a residual is added before a ReLU");
  if (WinogradConvolution::serves(weight_, stride_, padding_) &&
      WinogradConvolution::gains(x.size(2), x.size(3))) {
    if (!winograd_) winograd_.emplace(weight_, bias_);
    return (*winograd_)(x, residual, relu);
  }
  if (OneDnnConvolution::serves(weight_)) {
    if (!onednn_) {
      onednn_.emplace(weight_, bias_, ConvolutionShape{.stride = stride_, .padding = padding_},
                      x.sizes());
    }
    return (*onednn_)(x, residual, relu);
  }
  weight_ = weight_.contiguous(at::MemoryFormat::ChannelsLast);
  if (weight_.is_cuda() && weight_.scalar_type() != at::kDouble && relu) {
    return cudnn(x, weight_, bias_, stride_, padding_, residual);
  }
  at::Tensor y = at::conv2d(x, weight_, bias_, stride_, padding_);
  if (residual.defined()) y.add_(residual);
  return relu ? y.relu_() : y;
}

}  // namespace dbps::model

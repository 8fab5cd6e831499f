#include "model/fused_convolution.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/GradMode.h>

#include <utility>
#include <vector>

#include "base/error.h"

namespace dbps::model {
namespace {

using Stack = std::vector<c10::IValue>;

// LibTorch's fused operators of oneDNN have no C++ function of their own.
at::Tensor call(const char* name, const char* overload, Stack arguments) {
  static auto& dispatcher = c10::Dispatcher::singleton();
  dispatcher.findSchemaOrThrow(name, overload).callBoxed(&arguments);
  return arguments.front().toTensor();
}

std::vector<int64_t> both(int64_t value) { return {value, value}; }

const c10::List<std::optional<at::Scalar>>& no_scalars() {
  static const c10::List<std::optional<at::Scalar>> none;
  return none;
}

at::Tensor onednn_layout(const at::Tensor& weight, int64_t stride, int64_t padding) {
  return call("mkldnn::_reorder_convolution_weight", "",
              {weight, both(padding), both(stride), both(1), int64_t{1}, c10::IValue()});
}

at::Tensor onednn(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  int64_t stride, int64_t padding, bool relu, const at::Tensor& residual) {
  // oneDNN does not add pictures of one pixel.
  const bool adds = residual.defined() && residual.size(2) * residual.size(3) > 1;
  if (!adds) {
    at::Tensor y = call("mkldnn::_convolution_pointwise", "",
                        {x, weight, bias, both(padding), both(stride), both(1), int64_t{1},
                         relu && !residual.defined() ? "relu" : "none", no_scalars(), ""});
    return residual.defined() ? y.add_(residual).relu_() : y;
  }
  return call("mkldnn::_convolution_pointwise", "binary",
              {x, residual, weight, bias, both(padding), both(stride), both(1), int64_t{1}, "add",
               at::Scalar(1.0), "relu", no_scalars(), ""});
}

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
    : weight_(weight.contiguous(at::MemoryFormat::ChannelsLast)),
      bias_(bias),
      stride_(stride),
      padding_(padding),
      library_(Library::kAten) {
  if (weight.scalar_type() == at::kDouble) return;
  if (weight.is_cuda()) {
    library_ = Library::kCudnn;
  } else if (at::globalContext().hasMKLDNN() && at::globalContext().userEnabledMkldnn()) {
    library_ = Library::kOneDnn;
    weight_ = onednn_layout(weight_, stride, padding);
  }
  if (WinogradConvolution::serves(weight, stride, padding)) winograd_.emplace(weight, bias);
}

at::Tensor FusedConvolution::operator()(const at::Tensor& x, Activation activation,
                                        const at::Tensor& residual) const {
  const c10::NoGradGuard no_grad;
  const bool relu = activation == Activation::kRelu;
  DBPS_CHECK(relu || !residual.defined(), "a residual is added before a ReLU");
  if (winograd_ && WinogradConvolution::gains(x.size(2), x.size(3))) {
    return (*winograd_)(x, residual, relu);
  }
  if (library_ == Library::kOneDnn) {
    return onednn(x, weight_, bias_, stride_, padding_, relu, residual);
  }
  if (library_ == Library::kCudnn && relu) {
    return cudnn(x, weight_, bias_, stride_, padding_, residual);
  }
  at::Tensor y = at::conv2d(x, weight_, bias_, stride_, padding_);
  if (residual.defined()) y.add_(residual);
  return relu ? y.relu_() : y;
}

}  // namespace dbps::model

#include "model/onednn_convolution.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/GradMode.h>

#include <utility>
#include <vector>

#include "base/error.h"

namespace dbps::model {
namespace {

using Stack = std::vector<c10::IValue>;

// These operators have no C++ function of their own.
at::Tensor call(const c10::OperatorHandle& operation, Stack arguments) {
  operation.callBoxed(&arguments);
  return arguments.front().toTensor();
}

c10::OperatorHandle find(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
}

std::vector<int64_t> both(int64_t value) { return {value, value}; }

const c10::List<std::optional<at::Scalar>>& no_scalars() {
  static const c10::List<std::optional<at::Scalar>> none;
  return none;
}

}  // namespace

bool OneDnnConvolution::serves(const at::Tensor& weight) {
  return weight.is_cpu() && weight.scalar_type() != at::kDouble &&
         at::globalContext().hasMKLDNN() && at::globalContext().userEnabledMkldnn();
}

OneDnnConvolution::OneDnnConvolution(const at::Tensor& weight, const at::Tensor& bias,
                                     ConvolutionShape shape, at::IntArrayRef input)
    : bias_(bias), shape_(shape) {
  static const c10::OperatorHandle reorder = find("mkldnn::_reorder_convolution_weight", "");
  const c10::NoGradGuard no_grad;
  weight_ = call(reorder, {weight, both(shape.padding), both(shape.stride), both(1), shape.groups,
                           input.vec()});
}

at::Tensor OneDnnConvolution::operator()(const at::Tensor& x, const at::Tensor& residual,
                                         bool relu) const {
  static const c10::OperatorHandle plain = find("mkldnn::_convolution_pointwise", "");
  static const c10::OperatorHandle adding = find("mkldnn::_convolution_pointwise", "binary");
  DBPS_CHECK(relu || !residual.defined(), "a residual is added before a ReLU");
  const c10::NoGradGuard no_grad;
  // oneDNN does not add pictures of one pixel.
  const bool adds = residual.defined() && residual.size(2) * residual.size(3) > 1;
  if (!adds) {
    at::Tensor y = call(
        plain, {x, weight_, bias_, both(shape_.padding), both(shape_.stride), both(1),
                shape_.groups, relu && !residual.defined() ? "relu" : "none", no_scalars(), ""});
    return residual.defined() ? y.add_(residual).relu_() : y;
  }
  return call(adding, {x, residual, weight_, bias_, both(shape_.padding), both(shape_.stride),
                       both(1), shape_.groups, "add", at::Scalar(1.0), "relu", no_scalars(), ""});
}

}  // namespace dbps::model

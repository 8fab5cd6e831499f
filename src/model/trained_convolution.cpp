#include "model/trained_convolution.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/winograd.h"

namespace dbps::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor winograd(const at::Tensor& x, const at::Tensor& weight) {
  return WinogradConvolution(weight, at::zeros({weight.size(0)}, weight.options()))(x, {}, false);
}

struct WinogradFunction : torch::autograd::Function<WinogradFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight) {
    context->save_for_backward({x, weight});
    return winograd(x, weight);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight = saved[1];
    const at::Tensor gradient = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    variable_list of_inputs(2);
    if (context->needs_input_grad(0)) {
      of_inputs[0] = winograd(gradient, weight.detach().flip({2, 3}).transpose(0, 1));
    }
    if (context->needs_input_grad(1)) {
      of_inputs[1] = std::get<1>(at::convolution_backward(
          gradient, x, weight, /*bias_sizes=*/{}, /*stride=*/{1, 1}, /*padding=*/{1, 1},
          /*dilation=*/{1, 1}, /*transposed=*/false, /*output_padding=*/{0, 0}, /*groups=*/1,
          {false, true, false}));
    }
    return of_inputs;
  }
};

}  // namespace

at::Tensor trained_convolution(const at::Tensor& x, const at::Tensor& weight, int64_t stride,
                               int64_t padding) {
  // Filters that go the other way have as many input channels as output ones go this way.
  if (WinogradConvolution::serves(weight, stride, padding) &&
      WinogradConvolution::gains_once(x.size(0), x.size(2), x.size(3))) {
    return WinogradFunction::apply(x, weight);
  }
  return at::conv2d(x, weight, {}, stride, padding);
}

}  // namespace dbps::model

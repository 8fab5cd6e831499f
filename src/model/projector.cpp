#include "model/projector.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace dbps::model {

at::Tensor plain_layer_norm(const at::Tensor& x) {
  return at::layer_norm(x, {x.size(-1)}, {}, {}, 1e-5);
}

Projector::Projector(int64_t in, int64_t width, const Initializer& initial, Parameters& parameters,
                     BatchStatistics* statistics)
    : weight_(parameters.add("projector.linear.weight",
                             initial.fan_in_uniform("projector.linear.weight", {width, in}, in))),
      bias_(parameters.add("projector.linear.bias",
                           initial.fan_in_uniform("projector.linear.bias", {width}, in))),
      norm_("projector.bn", width, initial, parameters, statistics) {}

at::Tensor Projector::forward(const at::Tensor& x, const Forward& forward) const {
  return norm_.forward(at::linear(plain_layer_norm(x), weight_, bias_), forward).relu_();
}

Projector::Folded Projector::fold() const {
  const c10::NoGradGuard no_grad;
  const auto [scale, shift] = norm_.affine();
  return {weight_ * scale.unsqueeze(1), bias_ * scale + shift};
}

at::Tensor Projector::Folded::forward(const at::Tensor& x) const {
  return at::linear(plain_layer_norm(x), weight, bias).relu_();
}

}  // namespace dbps::model

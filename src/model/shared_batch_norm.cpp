#include "model/shared_batch_norm.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>
#include <vector>

namespace dbps::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// All dimensions but the channels'.
std::vector<int64_t> reduced(const at::Tensor& x) {
  std::vector<int64_t> dims = {0};
  for (int64_t d = 2; d < x.dim(); ++d) dims.push_back(d);
  return dims;
}

at::Tensor over_channels(const at::Tensor& of_channels, const at::Tensor& x) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[1] = -1;
  return of_channels.view(shape);
}

// Values a channel of all ranks.
double count_of(const at::Tensor& x, const RowGroup& group) {
  return static_cast<double>(group.total_rows() * values_a_row(x));
}

struct GroupHolder final : torch::CustomClassHolder {
  explicit GroupHolder(std::shared_ptr<const RowGroup> held) : group(std::move(held)) {}
  std::shared_ptr<const RowGroup> group;
};

struct Moments {
  at::Tensor mean;      // (C)
  at::Tensor variance;  // biased
};

// Each rank's own mean and sum of squared distances from it, put together: no sum of squares, whose
// difference from the squared mean would lose the digits that matter.
Moments moments_of_all(const at::Tensor& x, at::ScalarType type, const RowGroup& group) {
  const int64_t channels = x.size(1);
  const auto members = static_cast<int64_t>(group.rows.size());
  const at::TensorOptions options = x.options().dtype(type);
  at::Tensor all = at::zeros({members, 2, channels}, options);
  const int64_t own = group.own_rows();
  if (own > 0) {
    const auto [variance, mean] =
        at::var_mean(x.to(type), reduced(x), /*correction=*/at::Scalar(0), /*keepdim=*/false);
    all[group.member][0].copy_(mean);
    all[group.member][1].copy_(variance);
  }
  all = group.sum(all);
  std::vector<double> shares;
  for (const int64_t rows : group.rows) {
    shares.push_back(static_cast<double>(rows) / static_cast<double>(group.total_rows()));
  }
  const at::Tensor share =
      at::tensor(shares, at::kDouble).to(options.device(), type).unsqueeze(1);  // (members, 1)
  const at::Tensor mean = (all.select(1, 0) * share).sum(0);
  const at::Tensor distance = all.select(1, 0) - mean;
  return {mean, ((all.select(1, 1) + distance * distance) * share).sum(0)};
}

class Function : public torch::autograd::Function<Function> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& mean,
                            const at::Tensor& variance, double epsilon,
                            const std::shared_ptr<const RowGroup>& group) {
    context->save_for_backward({x, weight, mean, variance});
    context->saved_data["epsilon"] = epsilon;
    context->saved_data["group"] =
        c10::IValue::make_capsule(c10::make_intrusive<GroupHolder>(group));
    return at::batch_norm(x, weight, bias, mean, variance, /*training=*/false, 0.0, epsilon,
                          /*cudnn_enabled=*/false);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &variance = saved[3];
    const auto held = context->saved_data["group"].toCapsule();
    const RowGroup& group = *static_cast<const GroupHolder&>(*held).group;
    const double count = count_of(x, group);
    const at::Tensor inverse = (variance + context->saved_data["epsilon"].toDouble()).rsqrt();
    const at::Tensor dy = gradients[0].to(weight.scalar_type());
    const at::Tensor centred = x.to(weight.scalar_type()) - over_channels(mean, x);
    const at::Tensor own = at::stack({dy.sum(reduced(x)), (dy * centred).sum(reduced(x))});
    const at::Tensor all = group.sum(own);
    // dx = w / sigma (dy - mean(dy) - (x - mean) mean(dy (x - mean)) / sigma^2)
    const at::Tensor scale = weight * inverse;
    const at::Tensor towards_mean = scale * inverse * inverse * all[1] / count;
    const at::Tensor dx = dy * over_channels(scale, x) - centred * over_channels(towards_mean, x) -
                          over_channels(scale * all[0] / count, x);
    return {dx.to(x.scalar_type()), own[1] * inverse, own[0], {}, {}, {}, {}};
  }
};

}  // namespace

int64_t values_a_row(const at::Tensor& x) { return x.dim() > 2 ? x.size(2) * x.size(3) : 1; }

SharedNorm shared_batch_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                             double epsilon, const std::shared_ptr<const RowGroup>& group) {
  const Moments moments = moments_of_all(x.detach(), weight.scalar_type(), *group);
  const double count = count_of(x, *group);
  return {Function::apply(x, weight, bias, moments.mean, moments.variance, epsilon, group),
          moments.mean, moments.variance * (count / (count - 1))};
}

}  // namespace dbps::model

#include "model/batch_norm.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.h"
#include "model/shared_batch_norm.h"

namespace dbps::model {
namespace {

constexpr double kEpsilon = 1e-5;

at::Tensor normalise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                     const at::Tensor& mean, const at::Tensor& variance, bool training) {
  // With momentum 1 PyTorch leaves the batch's own mean and unbiased variance in the running
  // tensors.
  return at::batch_norm(x, weight, bias, mean, variance, training, /*momentum=*/1.0, kEpsilon,
                        /*cudnn_enabled=*/true);
}

}  // namespace

BatchNorm::BatchNorm(const std::string& name, int64_t channels, const Initializer& initial,
                     Parameters& parameters, BatchStatistics* statistics)
    : weight_(parameters.add(name + ".weight", initial.constant({channels}, 1))),
      bias_(parameters.add(name + ".bias", initial.constant({channels}, 0))),
      running_mean_(parameters.add_buffer(name + ".running_mean", initial.constant({channels}, 0))),
      running_variance_(
          parameters.add_buffer(name + ".running_var", initial.constant({channels}, 1))) {
  if (statistics != nullptr) layer_ = statistics->add_layer(running_mean_, running_variance_);
}

at::Tensor BatchNorm::forward(const at::Tensor& x, const Forward& forward) const {
  const int64_t rows = forward.group ? forward.group->total_rows() : x.size(0);
  const bool frozen = layer_ < 0;
  if (!forward.training || frozen || rows * values_a_row(x) <= 1) {
    return normalise(x, weight_, bias_, running_mean_, running_variance_, false);
  }
  DBPS_CHECK(forward.statistics != nullptr,
             "a BatchNorm layer is trained without a place for its batch statistics");
  const int64_t count = x.size(0) * values_a_row(x);
  if (forward.group) {
    const SharedNorm shared = shared_batch_norm(x, weight_, bias_, kEpsilon, forward.group);
    forward.statistics->record(layer_, shared.mean, shared.unbiased_variance, count);
    return shared.y;
  }
  const at::Tensor mean = at::zeros_like(running_mean_);
  const at::Tensor variance = at::zeros_like(running_variance_);
  at::Tensor y = normalise(x, weight_, bias_, mean, variance, true);
  forward.statistics->record(layer_, mean, variance, count);
  return y;
}

BatchNorm::Affine BatchNorm::affine() const {
  const c10::NoGradGuard no_grad;
  const at::Tensor scale = weight_ * (running_variance_ + kEpsilon).rsqrt();
  return {scale, bias_ - running_mean_ * scale};
}

}  // namespace dbps::model

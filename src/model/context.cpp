#include "model/context.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "base/error.h"

namespace dbps::model {

int64_t BatchStatistics::add_layer(at::Tensor running_mean, at::Tensor running_variance) {
  Layer layer{std::move(running_mean), std::move(running_variance), 0};
  if (!layers_.empty()) {
    layer.start = layers_.back().start + 2 * layers_.back().running_mean.numel() + 1;
  }
  layers_.push_back(std::move(layer));
  sums_ = at::Tensor();
  return static_cast<int64_t>(layers_.size()) - 1;
}

void BatchStatistics::allocate() {
  sums_ = at::Tensor();
  if (layers_.empty()) return;
  const Layer& last = layers_.back();
  sums_ = at::zeros({last.start + 2 * last.running_mean.numel() + 1}, last.running_mean.options());
}

void BatchStatistics::reset() {
  if (sums_.defined()) {
    sums_.zero_();
  } else {
    allocate();
  }
}

void BatchStatistics::record(int64_t layer, const at::Tensor& mean,
                             const at::Tensor& unbiased_variance, int64_t count) {
  DBPS_CHECK(sums_.defined(), "batch statistics are recorded before reset()");
  const c10::NoGradGuard no_grad;
  const int64_t start = layers_.at(static_cast<size_t>(layer)).start;
  const int64_t channels = mean.numel();
  const auto weight = static_cast<double>(count);
  // Products are rounded before they are added: a fused sum would differ from that over ranks.
  sums_.narrow(0, start, channels).add_(mean * weight);
  sums_.narrow(0, start + channels, channels).add_(unbiased_variance * weight);
  sums_.narrow(0, start + 2 * channels, 1).add_(weight);
}

void BatchStatistics::update_running(double momentum) {
  const c10::NoGradGuard no_grad;
  for (const Layer& layer : layers_) {
    const int64_t channels = layer.running_mean.numel();
    const at::Tensor count = sums_.narrow(0, layer.start + 2 * channels, 1);
    const auto update = [&](const at::Tensor& running, int64_t start) {
      const at::Tensor average = sums_.narrow(0, start, channels) / count;
      running.copy_(at::where(count > 0, running * (1 - momentum) + average * momentum, running));
    };
    update(layer.running_mean, layer.start);
    update(layer.running_variance, layer.start + channels);
  }
}

}  // namespace dbps::model

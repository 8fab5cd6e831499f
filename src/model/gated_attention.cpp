// Gated attention pooling (DeepMIL): a = softmax(w (tanh(V h) * sigmoid(U h))), z = sum of a h. V
// and U are shared, each token has its own row of w. Sub-salient rows, where a selection keeps
// them, are pooled with the salient ones, detached.
//
//   v.weight, v.bias   (W, D), (W)     W = aggregator.gated_attention.width
//   u.weight, u.bias   (W, D), (W)
//   w.weight           (T, W); no bias, which the softmax would cancel
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <limits>

#include "model/aggregators.h"
#include "model/initialize.h"

namespace dbps::model {
namespace {

class GatedAttention final : public Aggregator {
 public:
  GatedAttention(const AggregatorOptions& options, int64_t width, int64_t num_tasks,
                 at::TensorOptions tensor, int64_t seed) {
    const Initializer initial(seed, tensor, "aggregator");
    const auto add = [&](const std::string& name, at::IntArrayRef shape, int64_t fan_in) {
      return parameters_.add(name, initial.fan_in_uniform(name, shape, fan_in));
    };
    const int64_t hidden = options.gated_attention.width;
    v_ = add("v.weight", {hidden, width}, width);
    v_bias_ = add("v.bias", {hidden}, width);
    u_ = add("u.weight", {hidden, width}, width);
    u_bias_ = add("u.bias", {hidden}, width);
    w_ = add("w.weight", {num_tokens(options, num_tasks), hidden}, hidden);
  }

  // One head: the logits of a (n, T).
  at::Tensor scan_logits(const at::Tensor& embeddings_nD, const at::Tensor&) override {
    const c10::NoGradGuard no_grad;
    return logits(embeddings_nD);
  }

  at::Tensor aggregate(const Ragged& salient, const Ragged& sub_salient, const at::Tensor&,
                       const at::Tensor&, const Forward&) override {
    const Padded rows = pad(with_detached(salient, sub_salient));
    at::Tensor weights = logits(rows.values);  // (B, n, T)
    if (rows.mask.defined()) {
      weights = weights.masked_fill(rows.mask.logical_not().unsqueeze(2),
                                    -std::numeric_limits<double>::infinity());
    }
    return at::matmul(weights.softmax(1).transpose(1, 2), rows.values);
  }

  Parameters& parameters() override { return parameters_; }

 private:
  at::Tensor logits(const at::Tensor& h) const {
    return at::linear(at::linear(h, v_, v_bias_).tanh() * at::linear(h, u_, u_bias_).sigmoid(), w_);
  }

  Parameters parameters_;
  at::Tensor v_, v_bias_, u_, u_bias_, w_;
};

}  // namespace

std::unique_ptr<Aggregator> make_gated_attention(const AggregatorOptions& options, int64_t width,
                                                 int64_t num_tasks, at::TensorOptions tensor,
                                                 int64_t seed) {
  return std::make_unique<GatedAttention>(options, width, num_tasks, tensor, seed);
}

}  // namespace dbps::model

#include "model/attention.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "model/aggregators.h"

namespace dbps::model {
namespace {

constexpr double kNormEpsilon = 1e-6;

AggregatorOptions resolve(AggregatorOptions options, int64_t width, int64_t num_tasks) {
  const auto refuse = [](const char* key, auto value, const std::string& hint) {
    throw ConfigError(fmt::format("aggregator.{} = {}: {}", key, value, hint));
  };
  if (options.heads < 1) refuse("heads", options.heads, "give 1 or more");
  if (options.mlp_layers < 1) refuse("mlp_layers", options.mlp_layers, "give 1 or more");
  if (options.mlp_width < 1) refuse("mlp_width", options.mlp_width, "give 1 or more");
  for (auto [key, value] : {std::pair{"key_width", &options.key_width},
                            std::pair{"value_width", &options.value_width}}) {
    if (*value < 0) refuse(key, *value, "give 0 or more");
    if (*value == 0 && width % options.heads != 0) {
      refuse(key, 0, fmt::format("{} heads do not divide the width {}", options.heads, width));
    }
    if (*value == 0) *value = width / options.heads;
  }
  for (auto [key, value] : {std::pair{"attention_dropout", options.attention_dropout},
                            std::pair{"dropout", options.dropout}}) {
    if (!(value >= 0 && value < 1)) refuse(key, value, "give at least 0 and less than 1");
  }
  options.tokens = num_tokens(options, num_tasks);
  if (options.position_encoding && width % 2 != 0) {
    refuse("position_encoding", true, fmt::format("it needs an even width, not {}", width));
  }
  return options;
}

}  // namespace

at::Tensor dropout(const at::Tensor& x, double p, const Forward& forward) {
  if (!forward.training || p == 0) return x;
  DBPS_CHECK(forward.generator.has_value(), "dropout needs a generator");
  return x * at::empty_like(x).bernoulli_(1 - p, forward.generator).div_(1 - p);
}

at::Tensor encode_places(const at::Tensor& places_n, int64_t width, at::TensorOptions tensor) {
  // In fp64: in fp32 the angle of a slide's 50,000th place is off by 0.003.
  const at::TensorOptions wide = at::TensorOptions(places_n.device()).dtype(at::kDouble);
  const at::Tensor frequencies =
      (at::arange(0, width, 2, wide) * (-std::log(10000.0) / static_cast<double>(width))).exp();
  const at::Tensor angles = places_n.to(at::kDouble).unsqueeze(1) * frequencies;
  return at::stack({angles.sin(), angles.cos()}, 2).flatten(1).to(tensor);
}

AttentionAggregator::AttentionAggregator(const AggregatorOptions& options, int64_t width,
                                         int64_t num_tasks, at::TensorOptions tensor, int64_t seed)
    : options_(resolve(options, width, num_tasks)), width_(width) {
  const Initializer initial(seed, tensor, "aggregator");
  const auto linear = [&](const std::string& name, at::IntArrayRef shape, int64_t fan_in) {
    return parameters_.add(name, initial.fan_in_uniform(name, shape, fan_in));
  };
  const auto norm = [&](const std::string& name, double value) {
    return parameters_.add(name, initial.constant({width}, value));
  };
  const int64_t keys = options_.heads * options_.key_width;
  const int64_t values = options_.heads * options_.value_width;
  const double bound = std::sqrt(1.0 / static_cast<double>(options_.key_width));
  q_ = parameters_.add("q", initial.uniform("q", {1, options_.tokens, width}, bound));
  w_q_ = linear("w_q.weight", {keys, width}, width);
  w_k_ = linear("w_k.weight", {keys, width}, width);
  w_v_ = linear("w_v.weight", {values, width}, width);
  w_o_ = linear("w_o.weight", {width, values}, values);
  norm_weight_ = norm("layer_norm.weight", 1);
  norm_bias_ = norm("layer_norm.bias", 0);
  for (int64_t i = 1; i <= options_.mlp_layers; ++i) {
    const int64_t in = i == 1 ? width : options_.mlp_width;
    const int64_t out = i == options_.mlp_layers ? width : options_.mlp_width;
    const at::Tensor weight = linear(fmt::format("mlp.{}.weight", i), {out, in}, in);
    mlp_.push_back({weight, linear(fmt::format("mlp.{}.bias", i), {out}, in)});
  }
  mlp_norm_weight_ = norm("mlp.layer_norm.weight", 1);
  mlp_norm_bias_ = norm("mlp.layer_norm.bias", 0);
}

at::Tensor AttentionAggregator::scan_logits(const at::Tensor& embeddings_nD,
                                            const at::Tensor& places_n) {
  const c10::NoGradGuard no_grad;
  // One query for all rows: W_k is folded into it, so that no key is ever computed.
  const at::Tensor query = at::linear(q_[0], w_q_).view({-1, options_.heads, options_.key_width});
  const at::Tensor w_k = w_k_.view({options_.heads, options_.key_width, width_});
  const at::Tensor folded =
      at::matmul(query.unsqueeze(2), w_k).view({-1, width_}) / std::sqrt(options_.key_width);
  return at::linear(placed({embeddings_nD, {}}, places_n).values, folded);
}

Ragged AttentionAggregator::placed(const Ragged& rows, const at::Tensor& places) const {
  if (!options_.position_encoding) return rows;
  DBPS_CHECK(places.defined(), "position encoding needs places");
  return {rows.values + encode_places(places, width_, rows.values.options()), rows.offsets};
}

at::Tensor AttentionAggregator::split_heads(const at::Tensor& x) const {
  return x.view({x.size(0), x.size(1), options_.heads, -1}).transpose(1, 2);
}

at::Tensor AttentionAggregator::attend(const at::Tensor& query, const Padded& rows,
                                       const Forward& forward) const {
  const at::Tensor queries = split_heads(at::linear(query, w_q_)) / std::sqrt(options_.key_width);
  const at::Tensor keys = split_heads(at::linear(rows.values, w_k_));
  const at::Tensor values = split_heads(at::linear(rows.values, w_v_));
  at::Tensor logits = at::matmul(queries, keys.transpose(2, 3));  // (B, H, T, n)
  if (rows.mask.defined()) {
    logits = logits.masked_fill(rows.mask.logical_not().unsqueeze(1).unsqueeze(1),
                                -std::numeric_limits<double>::infinity());
  }
  const at::Tensor weights = dropout(logits.softmax(-1), options_.attention_dropout, forward);
  const at::Tensor attended = at::matmul(weights, values).transpose(1, 2).flatten(2);
  return dropout(at::linear(attended, w_o_), options_.dropout, forward);
}

at::Tensor AttentionAggregator::normalise(const at::Tensor& x) const {
  return at::layer_norm(x, {width_}, norm_weight_, norm_bias_, kNormEpsilon);
}

at::Tensor AttentionAggregator::transform(const at::Tensor& z, const Forward& forward) const {
  at::Tensor x = z;
  for (size_t i = 0; i < mlp_.size(); ++i) {
    x = at::linear(i == 0 ? x : x.relu(), mlp_[i].weight, mlp_[i].bias);
  }
  return at::layer_norm(dropout(x, options_.dropout, forward) + z, {width_}, mlp_norm_weight_,
                        mlp_norm_bias_, kNormEpsilon);
}

}  // namespace dbps::model

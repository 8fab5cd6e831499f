// What the attention aggregators are made of (method.md 3, equations 5-8 of the paper).
//
// Shapes: B bags, n rows a bag, D width, T tokens, H heads, Dk and Dv widths of a head.
//
// Names here, and in the released code (method.md 4):
//   q                      transf.crs_attn.q                  (1, T, D)
//   w_q.weight             transf.crs_attn.q_w.weight         (H * Dk, D)
//   w_k.weight             transf.crs_attn.k_w.weight         (H * Dk, D)
//   w_v.weight             transf.crs_attn.v_w.weight         (H * Dv, D)
//   w_o.weight             transf.crs_attn.fc.weight          (D, H * Dv)
//   layer_norm.{weight,bias}      transf.crs_attn.layer_norm.{weight,bias}   (D)
//   mlp.<i>.{weight,bias}         transf.mlp.w_<i>.{weight,bias}             i = 1 .. mlp_layers
//   mlp.layer_norm.{weight,bias}  transf.mlp.layer_norm.{weight,bias}        (D)
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/aggregator.h"
#include "model/context.h"
#include "model/initialize.h"
#include "model/options.h"
#include "model/parameters.h"
#include "model/ragged.h"

namespace dbps::model {

// Zeroes each element with probability p and scales the rest by 1 / (1 - p), in training only;
// masks come from forward.generator.
at::Tensor dropout(const at::Tensor& x, double p, const Forward& forward);

// sin and cos of the place, interleaved, wavelengths 2 pi .. 10000 * 2 pi: (n) int64 -> (n, width).
at::Tensor encode_places(const at::Tensor& places_n, int64_t width, at::TensorOptions tensor);

// Parameters and parts that dual and cross attention share; they differ in aggregate().
class AttentionAggregator : public Aggregator {
 public:
  // Throws ConfigError naming the key of [aggregator].
  AttentionAggregator(const AggregatorOptions& options, int64_t width, int64_t num_tasks,
                      at::TensorOptions tensor, int64_t seed);
  at::Tensor scan_logits(const at::Tensor& embeddings_nD, const at::Tensor& places_n) override;
  Parameters& parameters() override { return parameters_; }

 protected:
  const at::Tensor& query() const { return q_; }  // (1, T, D)
  // With the sinusoid of its place added to each row, when configured; places as in aggregate().
  Ragged placed(const Ragged& rows, const at::Tensor& places) const;
  // Drop(W_o attn(query, rows)): query (B or 1, T, D), rows (B, n, D) -> (B, T, D).
  at::Tensor attend(const at::Tensor& query, const Padded& rows, const Forward& forward) const;
  at::Tensor normalise(const at::Tensor& x) const;                          // LN
  at::Tensor transform(const at::Tensor& z, const Forward& forward) const;  // Z -> Z'

 private:
  at::Tensor split_heads(const at::Tensor& x) const;  // (B, n, H * d) -> (B, H, n, d)

  AggregatorOptions options_;  // widths and tokens resolved
  int64_t width_;
  Parameters parameters_;
  at::Tensor q_, w_q_, w_k_, w_v_, w_o_;
  at::Tensor norm_weight_, norm_bias_;
  struct Linear {
    at::Tensor weight;
    at::Tensor bias;
  };
  std::vector<Linear> mlp_;
  at::Tensor mlp_norm_weight_, mlp_norm_bias_;
};

}  // namespace dbps::model

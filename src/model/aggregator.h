// Embeddings of a bag to T tokens, and the scores that selection ranks by (method.md 2 and 3).
// One file and one registration an aggregator.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/context.h"
#include "model/options.h"
#include "model/parameters.h"
#include "model/ragged.h"

namespace dbps::model {

class Aggregator {
 public:
  virtual ~Aggregator() = default;
  // Per-head logits l[n, t * H + h] = (q_t W_q)_h . (e_n W_k)_h / sqrt(Dk): (n, D) -> (n, T * H).
  // No gradient. With position encoding, `places` (n) int64 are places in the grid; else undefined.
  // As it stands here: throws ConfigError, for an aggregator that gives no scores.
  virtual at::Tensor scan_logits(const at::Tensor& embeddings_nD, const at::Tensor& places_n);
  // Whether the heads classify each salient patch by itself: its label is its bag's, a bag's loss
  // is the mean over its patches, its prediction is pooled from theirs (Heads::pool), and selection
  // ranks by what the heads say of a patch (Heads::confidences) and not by scan_logits.
  virtual bool classifies_patches() const { return false; }
  // Tokens: (B, T, D), or (n, T, D) for n salient patches when classifies_patches(). `salient`
  // carries gradient; `sub_salient` is detached and may be empty, as a whole (values undefined) or
  // for single bags: absent rows are masked, never zero rows (method.md 2). Places as above, one a
  // row of values, or undefined.
  virtual at::Tensor aggregate(const Ragged& salient, const Ragged& sub_salient,
                               const at::Tensor& salient_places,
                               const at::Tensor& sub_salient_places, const Forward& forward) = 0;
  virtual Parameters& parameters() = 0;
};

using AggregatorFactory = std::function<std::unique_ptr<Aggregator>(
    const AggregatorOptions&, int64_t width, int64_t num_tasks, at::TensorOptions, int64_t seed)>;

const std::vector<std::string>& aggregator_kinds();
std::unique_ptr<Aggregator> make_aggregator(const AggregatorOptions& options, int64_t width,
                                            int64_t num_tasks, at::TensorOptions tensor,
                                            int64_t seed);

}  // namespace dbps::model

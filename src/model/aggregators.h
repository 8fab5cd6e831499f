// The factories of our aggregators, for registry.cpp alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "model/aggregator.h"

namespace dbps::model {

// T: aggregator.tokens, 0: one a task. Throws ConfigError when it is neither 1 (shared) nor at
// least one a task.
int64_t num_tokens(const AggregatorOptions& options, int64_t num_tasks);

std::unique_ptr<Aggregator> make_dual_attention(const AggregatorOptions& options, int64_t width,
                                                int64_t num_tasks, at::TensorOptions tensor,
                                                int64_t seed);
std::unique_ptr<Aggregator> make_cross_attention(const AggregatorOptions& options, int64_t width,
                                                 int64_t num_tasks, at::TensorOptions tensor,
                                                 int64_t seed);
std::unique_ptr<Aggregator> make_gated_attention(const AggregatorOptions& options, int64_t width,
                                                 int64_t num_tasks, at::TensorOptions tensor,
                                                 int64_t seed);
std::unique_ptr<Aggregator> make_mean(const AggregatorOptions& options, int64_t width,
                                      int64_t num_tasks, at::TensorOptions tensor, int64_t seed);
std::unique_ptr<Aggregator> make_top_mil(const AggregatorOptions& options, int64_t width,
                                         int64_t num_tasks, at::TensorOptions tensor, int64_t seed);

}  // namespace dbps::model

// Batch normalisation of a micro-batch whose rows several ranks embed (runtime.md: its statistics
// cover all of them, forward and backward).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "model/context.h"

namespace dbps::model {

// Values a channel that each row of x, (n, C) or (n, C, h, w), has.
int64_t values_a_row(const at::Tensor& x);

// As BatchNorm in training. `mean` and `unbiased_variance` are those of all rows, (C), in the type
// of the weights. Collective over the ranks of `group`, here and in backward, a rank without rows
// included; gradients of weight and bias are this rank's share.
struct SharedNorm {
  at::Tensor y;
  at::Tensor mean;
  at::Tensor unbiased_variance;
};
SharedNorm shared_batch_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                             double epsilon, const std::shared_ptr<const RowGroup>& group);

}  // namespace dbps::model

// Rows of a micro-batch that the ranks of a patch group embed, each its share, put together.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/context.h"

namespace dbps::training {

// How many of n rows each member embeds: in order, nearly equal, whichever rank scanned them.
std::vector<int64_t> row_shares(int64_t n, int num_members);

// Each member's (rows, D), end to end, on all of them: (n, D). Every member goes on with all rows
// and does the same, each from 1 / size of the loss, so each has that share of the whole gradient
// of its own rows; it is multiplied by the size on the way back. Collective forward, not backward.
at::Tensor join_rows(const at::Tensor& own, const model::RowGroup& group);

}  // namespace dbps::training

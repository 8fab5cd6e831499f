// Rows of a micro-batch that the ranks of a patch group embed, each its share, put together.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "distributed/collectives.h"

namespace dbps::training {

// How many of n rows each member embeds: in order, nearly equal, whichever rank scanned them.
std::vector<int64_t> row_shares(int64_t n, int num_members);

// Each member's (rows, D), end to end, on all of them: (n, D). Every member goes on with all rows
// and does the same, so each has the whole gradient of its own; it is multiplied by `scale` on the
// way back. Collective forward, not backward.
at::Tensor join_rows(const at::Tensor& own, const std::vector<int64_t>& shares,
                     distributed::Collectives& group, double scale);

}  // namespace dbps::training

// Patches that a case gives, as the loader would give them.
#pragma once

#include "data/batch.h"
#include "parity/probe.h"

namespace dbps::parity {

// pixels (B, N, C, p, p) uint8, and their places in the grid (B, N), when not every place is there.
data::HostBatch host_batch(const Case& c);

// (B, width) int64 of rows within their bags, in order, -1 behind the end.
at::Tensor as_tensor(const std::vector<std::vector<int64_t>>& rows_of_bag, int64_t width);

}  // namespace dbps::parity

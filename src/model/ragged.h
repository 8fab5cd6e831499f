// Rows of several bags end to end.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace dbps::model {

struct Ragged {
  at::Tensor values;             // (sum of n_b, ...)
  std::vector<int64_t> offsets;  // B + 1
  int64_t num_bags() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t size(int64_t bag) const { return offsets[bag + 1] - offsets[bag]; }
};

// (B, max n_b, D), zeros behind each bag, and mask (B, max n_b) bool, true where a row is present;
// mask undefined when all bags are equal. Differentiable in `values`.
struct Padded {
  at::Tensor values;
  at::Tensor mask;
};
Padded pad(const Ragged& ragged);

}  // namespace dbps::model

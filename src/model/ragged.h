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

// One row a bag (B, ...): the mean, or the largest of each column, over the bag's rows. Bags of one
// row each are given back as they are. No bag may be empty.
at::Tensor bag_means(const Ragged& rows);
at::Tensor bag_maxima(const Ragged& rows);
// (B, ...) -> (sum of n_b, ...): each bag's row once for each of the rows that `offsets` gives it.
at::Tensor repeat_for_rows(const at::Tensor& of_bags, const std::vector<int64_t>& offsets);

// Bag by bag, the rows of `rows` and then those of `more`, detached; `more` may be empty as a whole
// (values undefined).
Ragged with_detached(const Ragged& rows, const Ragged& more);

}  // namespace dbps::model

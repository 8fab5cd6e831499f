#include "model/ragged.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace dbps::model {
namespace {

bool one_row_a_bag(const Ragged& rows) { return rows.num_bags() == rows.values.size(0); }

// `x`, (B) or (B, n), with ones behind for the rest of the shape of `values`.
at::Tensor spread_over(const at::Tensor& x, const at::Tensor& values) {
  std::vector<int64_t> shape(static_cast<size_t>(values.dim()), 1);
  std::copy(x.sizes().begin(), x.sizes().end(), shape.begin());
  return x.reshape(shape);
}

}  // namespace

Padded pad(const Ragged& ragged) {
  const int64_t bags = ragged.num_bags();
  DBPS_CHECK(bags >= 1 && ragged.values.defined(), "no bags to pad");
  DBPS_CHECK(ragged.offsets.back() == ragged.values.size(0), "offsets and rows disagree");
  int64_t longest = 0;
  bool equal = true;
  for (int64_t bag = 0; bag < bags; ++bag) {
    longest = std::max(longest, ragged.size(bag));
    equal = equal && ragged.size(bag) == ragged.size(0);
  }
  std::vector<int64_t> shape = ragged.values.sizes().vec();
  shape[0] = longest;
  shape.insert(shape.begin(), bags);
  if (equal) return {ragged.values.reshape(shape), {}};

  at::Tensor places = at::empty({ragged.values.size(0)}, at::kLong);
  int64_t* place = places.data_ptr<int64_t>();
  for (int64_t bag = 0; bag < bags; ++bag) {
    for (int64_t i = 0; i < ragged.size(bag); ++i) *place++ = bag * longest + i;
  }
  places = places.to(ragged.values.device());
  std::vector<int64_t> flat = ragged.values.sizes().vec();
  flat[0] = bags * longest;
  const at::Tensor values = at::zeros(flat, ragged.values.options());
  const at::Tensor mask = at::zeros({bags * longest}, values.options().dtype(at::kBool));
  return {values.index_copy(0, places, ragged.values).reshape(shape),
          mask.index_fill(0, places, true).reshape({bags, longest})};
}

at::Tensor bag_means(const Ragged& rows) {
  if (one_row_a_bag(rows)) return rows.values;
  const at::Tensor padded = pad(rows).values;
  std::vector<double> sizes;
  for (int64_t bag = 0; bag < rows.num_bags(); ++bag) {
    sizes.push_back(static_cast<double>(rows.size(bag)));
  }
  const at::Tensor sums = padded.sum(1);
  return sums / spread_over(at::tensor(sizes, at::kDouble).to(sums.options()), sums);
}

at::Tensor bag_maxima(const Ragged& rows) {
  if (one_row_a_bag(rows)) return rows.values;
  const auto [values, mask] = pad(rows);
  if (!mask.defined()) return values.amax(1);
  return values
      .masked_fill(spread_over(mask.logical_not(), values),
                   -std::numeric_limits<double>::infinity())
      .amax(1);
}

at::Tensor repeat_for_rows(const at::Tensor& of_bags, const std::vector<int64_t>& offsets) {
  if (of_bags.size(0) == offsets.back()) return of_bags;
  std::vector<int64_t> bags;
  for (int64_t bag = 0; bag + 1 < static_cast<int64_t>(offsets.size()); ++bag) {
    bags.insert(bags.end(), static_cast<size_t>(offsets[bag + 1] - offsets[bag]), bag);
  }
  return of_bags.index_select(0, at::tensor(bags, at::kLong).to(of_bags.device()));
}

Ragged with_detached(const Ragged& rows, const Ragged& more) {
  if (!more.values.defined() || more.values.size(0) == 0) return rows;
  const at::Tensor detached = more.values.detach();
  Ragged both = {{}, {0}};
  std::vector<at::Tensor> pieces;
  for (int64_t bag = 0; bag < rows.num_bags(); ++bag) {
    pieces.push_back(rows.values.narrow(0, rows.offsets[bag], rows.size(bag)));
    pieces.push_back(detached.narrow(0, more.offsets[bag], more.size(bag)));
    both.offsets.push_back(both.offsets.back() + rows.size(bag) + more.size(bag));
  }
  both.values = at::cat(pieces);
  return both;
}

}  // namespace dbps::model

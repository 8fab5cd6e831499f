#include "model/ragged.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace dbps::model {

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

}  // namespace dbps::model

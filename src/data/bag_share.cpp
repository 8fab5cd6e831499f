#include "data/bag_share.h"

#include <algorithm>

#include "base/parallel.h"

namespace dbps::data {

std::pair<int64_t, int64_t> BagShare::of(const std::vector<int64_t>& index, int64_t n) const {
  if (!by_place) return share_of(static_cast<int64_t>(index.size()), member, members);
  const auto [first, last] = share_of(n, member, members);
  const auto begin = std::lower_bound(index.begin(), index.end(), first);
  const auto end = std::lower_bound(begin, index.end(), last);
  return {begin - index.begin(), end - index.begin()};
}

int64_t BagShare::most_of(int64_t kept, int64_t n) const {
  const auto [first, last] = share_of(by_place ? n : kept, member, members);
  return std::min(kept, last - first);
}

}  // namespace dbps::data

#include "data/whole_bag.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace dbps::data {

WholeBag::WholeBag(const store::Reader& store, int64_t bag) : store_(&store), bag_(bag) {
  const store::Bag& first = store.bag(bag);
  int64_t end = 0;
  for (int64_t part = bag; part < store.num_bags(); ++part) {
    if (part > bag && !store.is_later_part(part)) break;
    if (store.bag(part).part != part - bag) {
      throw DataError(fmt::format("{}: part {} of the bag '{}' is not there: ingest it again",
                                  store.folder().string(), part - bag, first.id));
    }
    end += store.bag(part).tile_count;
    ends_.push_back(end);
  }
}

std::vector<int64_t> WholeBag::parts() const {
  std::vector<int64_t> parts(ends_.size());
  std::iota(parts.begin(), parts.end(), bag_);
  return parts;
}

store::TilePlace WholeBag::place(int64_t number) const {
  DBPS_CHECK(number >= 0 && number < num_tiles(),
             fmt::format("tile {} of {} of the bag '{}'", number, num_tiles(), first_part().id));
  const auto part = std::upper_bound(ends_.begin(), ends_.end(), number);
  const int64_t first = part == ends_.begin() ? 0 : *(part - 1);
  return {bag_ + (part - ends_.begin()), number - first};
}

store::Tile WholeBag::tile(int64_t number) const {
  const store::TilePlace at = place(number);
  return store_->tile(at.bag, at.tile);
}

}  // namespace dbps::data

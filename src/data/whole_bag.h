// A bag as training sees it: a slide that a store holds in several parts is one.
#pragma once

#include <cstdint>
#include <vector>

#include "store/reader.h"

namespace dbps::data {

// Borrows the store. Immutable. Its tiles (or vectors) are numbered from 0 through all parts.
class WholeBag {
 public:
  // `bag` is the first part; the store's next bags of its id are the others.
  WholeBag(const store::Reader& store, int64_t bag);

  const store::Bag& first_part() const { return store_->bag(bag_); }  // what all parts share
  const store::Reader& store() const { return *store_; }
  std::vector<int64_t> parts() const;  // the store's bags, in order
  int64_t num_parts() const { return static_cast<int64_t>(ends_.size()); }
  int64_t num_tiles() const { return ends_.back(); }
  store::TilePlace place(int64_t number) const;
  store::Tile tile(int64_t number) const;

 private:
  const store::Reader* store_;
  int64_t bag_;
  std::vector<int64_t> ends_;  // of each part, the number after its last tile
};

}  // namespace dbps::data

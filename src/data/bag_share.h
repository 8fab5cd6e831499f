// The part of every bag that a rank of a patch group scans, and therefore reads.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace dbps::data {

// Parts are contiguous, in the order of the members, and together are the bag.
struct BagShare {
  int64_t member = 0;   // this rank, among those that share each bag
  int64_t members = 1;  // 1: it shares none
  // The parts are equal shares of a grid's places, whichever of them were dropped, so that a node
  // need hold no others; else of the patches that were kept, so that all members scan as many.
  bool by_place = false;
  // The members lie on several nodes, each of which holds its members' parts alone.
  bool apart = false;

  // Of the patches kept at places `index` (ascending) of a grid of `n`: [first, last).
  std::pair<int64_t, int64_t> of(const std::vector<int64_t>& index, int64_t n) const;
  // No fewer than that, of any `kept` of `n`.
  int64_t most_of(int64_t kept, int64_t n) const;
};

}  // namespace dbps::data

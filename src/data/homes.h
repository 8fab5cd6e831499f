// Homes: parts of a data set that lie apart, on the disks of several nodes, so that each node reads
// only what lies with it (data.stage_homes).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace dbps::data {

// The home, 0 .. homes - 1, of each of the bags whose sizes these are: the numbers of bags differ
// by one at most, since every batch takes as many from each home, and the bytes by no more than the
// largest bag has. A function of the sizes and their order.
std::vector<int64_t> deal_homes(const std::vector<int64_t>& bytes, int64_t homes);

// Who reads: number `reader` of the `num_readers` at place `place` of `num_places`. Homes are dealt
// to the places in equal, contiguous parts. A place is a node, or the nodes that one patch group
// spans; where all read shared disks, there is one.
struct ReaderPlace {
  int64_t place = 0;
  int64_t num_places = 1;
  int64_t reader = 0;
  int64_t num_readers = 1;

  // The part of `n` homes, or of what stands in their order in equal parts, that lies at the place:
  // [first, last). `n` is a multiple of num_places.
  std::pair<int64_t, int64_t> at_place(int64_t n) const;
  // Of those the ones that fall to this reader.
  std::pair<int64_t, int64_t> own(int64_t n) const;
};

}  // namespace dbps::data

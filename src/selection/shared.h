// The ranking of bags that the ranks of a patch group scan, each its part: which patches are
// salient and which sub-salient is the same as if one rank had seen them all.
#pragma once

#include <cstdint>
#include <vector>

#include "distributed/collectives.h"
#include "selection/ranking.h"

namespace dbps::selection {

// A rank's part of one bag.
struct PartOfBag {
  const ScannedBag* bag = nullptr;             // of the part's patches alone
  const std::vector<int64_t>* rows = nullptr;  // of the batch, one a position of `bag`
};

// A patch of any part.
struct RankedRow {
  int64_t row = 0;
  double score = 0.0;
  double key = 0.0;  // as of Ranked
};

// Of one bag.
struct RankedParts {
  std::vector<RankedRow> best;     // of all parts, best first, of equals the lower row
  std::vector<double> own_scores;  // of each position of this rank's part
};

// Of each bag the best `capacity` patches by one softmax over all its patches on all ranks. Three
// exchanges, of numbers a head and a candidate, none a patch: the largest logits, the sums of
// exponentials, and each rank's own best. Rows of a bag must stand in the order of the grid.
// Collective over `group`.
std::vector<RankedParts> rank_parts(const std::vector<PartOfBag>& parts, int64_t capacity,
                                    int64_t heads, distributed::Collectives& group);

}  // namespace dbps::selection

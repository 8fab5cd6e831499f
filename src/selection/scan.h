// The scan of method.md 1.3-1.5, shared by the methods that look at every patch.
#pragma once

#include "selection/selector.h"

namespace dbps::selection {

// Shuffles (in training), walks all bags together, ranks after each step: first min(M, N) patches
// of each bag, then L of each that has some left, with one call of `scorer.embed` a step. No
// gradient. What a bag selects does not depend on the bags beside it, Shuffle::kBatch aside, nor on
// how many ranks share it (Request::group; then collective over them). Throws ConfigError naming
// selection.shuffle when one permutation cannot serve bags of unequal size.
Selection scan(const Bags& bags, const Scorer& scorer, const Request& request, Ranking ranking,
               Shuffle shuffle);

}  // namespace dbps::selection

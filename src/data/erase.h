// Random erasing and random patch erasing: the competitors of patch drop (method.md 6).
#pragma once

#include <cstdint>
#include <vector>

#include "base/random.h"
#include "data/grid.h"
#include "data/jitter.h"
#include "data/loader.h"

namespace dbps::data {

// A rectangle of `share` of a picture's area, height / width log-uniform in 0.3 .. 3.3, anywhere in
// it. All zeros when none of 10 tries is smaller than the picture both ways.
Window draw_rectangle(RandomStream& random, double share, Size picture);

// What options.augment.erase sets to zero of an augmented picture, by drop.erase_ratio: one window
// a patch of `kept` (places in the grid), in the patch's own pixels, all zeros where nothing is.
// Empty without erasing. kRandom: the part of one rectangle. kPatches: of round(N r) of the grid's
// N patches, half rounded up, the middle 97 % of either side.
std::vector<Window> draw_erased(RandomStream& random, const LoaderOptions& options, Size picture,
                                const Grid& grid, const std::vector<int64_t>& kept);

}  // namespace dbps::data

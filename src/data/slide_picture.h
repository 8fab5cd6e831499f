// Pixels of a slide for people's eyes, from what a store holds of it.
#pragma once

#include <cstdint>

#include "data/whole_bag.h"
#include "image/image.h"

namespace dbps::data {

inline constexpr int64_t kLongestPicture = 2048;  // pixels

// A tile of kind = tiles, RGB. Any thread. Throws DataError naming slide and tile.
image::Image read_tile(const WholeBag& slide, int64_t number);

// The tiles where they lie in their slide, made small, the longest side kLongestPicture pixels or
// that of the tiles' own scale; white where none was kept. On `threads` threads; some tiles at a
// time are in memory. Throws as read_tile().
image::Image lay_out_tiles(const WholeBag& slide, int threads);

}  // namespace dbps::data

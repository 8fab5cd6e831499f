// A slide made small.
#pragma once

#include <cstdint>

#include "image/image.h"
#include "image/slide.h"

namespace dbps::image {

// RGB, each pixel the mean of a square of `cell` level-0 pixels.
struct Thumbnail {
  Image image;
  double cell = 1;
};

// Cells are as large as `largest_cell` level-0 pixels allow: whole pixels of a level. Read in
// bands, so that memory is that of the thumbnail and some rows. Throws DataError as Slide::read.
Thumbnail make_thumbnail(Slide& slide, double largest_cell);

// Pixels that making it reads.
int64_t thumbnail_cost(const SlideInfo& info, double largest_cell);

}  // namespace dbps::image

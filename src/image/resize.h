// Resizing as Pillow's antialiased bilinear filter (Image.BILINEAR), up and down.
//
// A horizontal pass, then a vertical one, with 8-bit pixels between them, in Pillow's fixed-point
// arithmetic: the same bytes on every machine, and Pillow's own bytes (within 1/255 where it takes
// the passes in the other order). Stateless; any thread may call.
#pragma once

#include "image/image.h"

namespace dbps::image {

// A picture of width x height >= 1 x 1 with the source's channels. The picture between the passes
// takes width * source.height pixels.
Image resize(const Image& source, int64_t width, int64_t height);

// Means of shrink x shrink pixels of `band`, of fewer at its right and lower edges, rounded to the
// nearest, into the rows of `smaller` from `first` on; of a picture that comes in bands whose
// heights are multiples of `shrink`, the last one's aside. `smaller` has band.width / shrink
// columns, rounded up, and the band's channels.
void shrink_into(const Image& band, int64_t shrink, Image& smaller, int64_t first);

}  // namespace dbps::image

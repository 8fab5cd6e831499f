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

}  // namespace dbps::image

// What reports and the demo data draw on a picture.
#pragma once

#include <array>
#include <cstdint>

#include "image/image.h"

namespace dbps::image {

using Colour = std::array<uint8_t, 3>;

// The outline of a rectangle, `thickness` pixels inwards; parts outside the picture are left out.
void draw_frame(Image& image, int64_t x, int64_t y, int64_t width, int64_t height, int thickness,
                Colour colour);

// Blends `colour` into a rectangle: alpha 0 leaves it, 1 covers it.
void tint(Image& image, int64_t x, int64_t y, int64_t width, int64_t height, Colour colour,
          double alpha);

// Copies `picture` to (x, y) of `to`, which has its channels; parts outside are left out.
void paste(const Image& picture, int64_t x, int64_t y, Image& to);

}  // namespace dbps::image

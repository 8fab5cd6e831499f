#include "image/draw.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "image/rows.h"

namespace dbps::image {

void tint(Image& image, int64_t x, int64_t y, int64_t width, int64_t height, Colour colour,
          double alpha) {
  const int64_t left = std::max<int64_t>(x, 0);
  const int64_t right = std::min(x + width, image.width);
  const int64_t bottom = std::min(y + height, image.height);
  if (image.channels == 1) colour[0] = internal::luma(colour[0], colour[1], colour[2]);
  const int share = static_cast<int>(std::lround(std::clamp(alpha, 0.0, 1.0) * 256.0));
  for (int64_t line = std::max<int64_t>(y, 0); line < bottom; ++line) {
    uint8_t* pixel = image.row(line) + left * image.channels;
    for (int64_t column = left; column < right; ++column, pixel += image.channels) {
      for (int c = 0; c < image.channels; ++c) {
        pixel[c] = static_cast<uint8_t>((pixel[c] * (256 - share) + colour[c] * share + 128) >> 8);
      }
    }
  }
}

void draw_frame(Image& image, int64_t x, int64_t y, int64_t width, int64_t height, int thickness,
                Colour colour) {
  const int64_t t = std::min<int64_t>(thickness, (std::min(width, height) + 1) / 2);
  tint(image, x, y, width, t, colour, 1.0);
  tint(image, x, y + height - t, width, t, colour, 1.0);
  tint(image, x, y + t, t, height - 2 * t, colour, 1.0);
  tint(image, x + width - t, y + t, t, height - 2 * t, colour, 1.0);
}

void paste(const Image& picture, int64_t x, int64_t y, Image& to) {
  DBPS_CHECK(picture.channels == to.channels, "pictures of one kind");
  const int64_t left = std::max<int64_t>(x, 0);
  const int64_t right = std::min(x + picture.width, to.width);
  const int64_t bottom = std::min(y + picture.height, to.height);
  if (left >= right) return;
  for (int64_t line = std::max<int64_t>(y, 0); line < bottom; ++line) {
    std::copy_n(picture.row(line - y) + (left - x) * to.channels, (right - left) * to.channels,
                to.row(line) + left * to.channels);
  }
}

}  // namespace dbps::image

// A decoded picture in host memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dbps::image {

// Interleaved 8-bit pixels, row-major, upright (EXIF orientation applied): height x width x
// channels.
struct Image {
  int64_t width = 0;
  int64_t height = 0;
  int channels = 3;  // 3: RGB, 1: grey
  std::vector<uint8_t> pixels;

  Image() = default;
  Image(int64_t w, int64_t h, int c)
      : width(w), height(h), channels(c), pixels(static_cast<size_t>(w * h * c)) {}
  uint8_t* row(int64_t y) { return pixels.data() + y * width * channels; }
  const uint8_t* row(int64_t y) const { return pixels.data() + y * width * channels; }
};

}  // namespace dbps::image

// Decoded rows on their way into a picture: converted to RGB or grey, and turned upright as they
// come, so that no second copy of the picture is needed. Private to this room.
#pragma once

#include <cstdint>
#include <utility>

#include "image/codec.h"

namespace dbps::image::internal {

// What a decoder hands over, 8 bits a channel.
enum class Pixels {
  kGrey,
  kRgb,
  kRgba,               // alpha not yet applied to the colours
  kRgbaPremultiplied,  // alpha already applied
  kCmyk,               // 0: no ink
  kCmykInverted,       // 255: no ink, as Adobe writes JPEG
};

int bytes_per_pixel(Pixels pixels);

// ITU-R 601 luma of an RGB pixel, rounded.
inline uint8_t luma(int red, int green, int blue) {
  return static_cast<uint8_t>((red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16);
}

// Whether this EXIF orientation exchanges width and height.
inline bool is_transposed(int orientation) { return orientation >= 5; }

class RowSink {
 public:
  // Allocates the picture. `info` holds the upright size and the orientation of the rows to come.
  RowSink(const Info& info, int channels);
  // Fills `image`, whose pixels are there, with upright rows of its own size.
  explicit RowSink(Image&& image);

  int64_t stored_width() const { return stored_width_; }
  int64_t stored_height() const { return stored_height_; }

  // Where row y of the file may be decoded to directly, when it is of this kind and needs no
  // turning; null otherwise: then decode it elsewhere and put() it.
  uint8_t* direct_row(int64_t y, Pixels pixels);

  // Allocates nothing, so that it may stand inside a guarded step.
  void put(int64_t y, const uint8_t* row, Pixels pixels);

  Image take() { return std::move(image_); }

 private:
  Image image_;
  int orientation_;
  int64_t stored_width_;
  int64_t stored_height_;
};

}  // namespace dbps::image::internal

#include "image/rows.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/error.h"

namespace dbps::image::internal {
namespace {

struct Rgb {
  int red;
  int green;
  int blue;
};

// a * b / 255, rounded, for 0 .. 255.
inline int scale255(int a, int b) { return (a * b + 127) / 255; }

template <Pixels kind>
inline Rgb to_rgb(const uint8_t* p) {
  if constexpr (kind == Pixels::kGrey) {
    return {p[0], p[0], p[0]};
  } else if constexpr (kind == Pixels::kRgb) {
    return {p[0], p[1], p[2]};
  } else if constexpr (kind == Pixels::kRgba) {
    const int white = 255 - p[3];
    const auto lay = [&](int c) { return (c * p[3] + 255 * white + 127) / 255; };
    return {lay(p[0]), lay(p[1]), lay(p[2])};
  } else if constexpr (kind == Pixels::kRgbaPremultiplied) {
    const int white = 255 - p[3];
    return {std::min(p[0] + white, 255), std::min(p[1] + white, 255), std::min(p[2] + white, 255)};
  } else if constexpr (kind == Pixels::kCmyk) {
    const int light = 255 - p[3];
    return {scale255(255 - p[0], light), scale255(255 - p[1], light), scale255(255 - p[2], light)};
  } else {
    return {scale255(p[0], p[3]), scale255(p[1], p[3]), scale255(p[2], p[3])};
  }
}

// Writes pixel x to target + x * step; step is in bytes and may be negative.
template <Pixels kind>
void convert(const uint8_t* row, int64_t width, int channels, uint8_t* target, ptrdiff_t step) {
  constexpr int kSize = kind == Pixels::kGrey ? 1 : kind == Pixels::kRgb ? 3 : 4;
  for (int64_t x = 0; x < width; ++x, row += kSize, target += step) {
    const Rgb rgb = to_rgb<kind>(row);
    if (channels == 1) {
      target[0] = luma(rgb.red, rgb.green, rgb.blue);
    } else {
      target[0] = static_cast<uint8_t>(rgb.red);
      target[1] = static_cast<uint8_t>(rgb.green);
      target[2] = static_cast<uint8_t>(rgb.blue);
    }
  }
}

}  // namespace

int bytes_per_pixel(Pixels pixels) {
  return pixels == Pixels::kGrey ? 1 : pixels == Pixels::kRgb ? 3 : 4;
}

RowSink::RowSink(const Info& info, int channels)
    : image_(info.width, info.height, channels), orientation_(info.orientation) {
  const bool transposed = is_transposed(info.orientation);
  stored_width_ = transposed ? info.height : info.width;
  stored_height_ = transposed ? info.width : info.height;
}

RowSink::RowSink(Image&& image)
    : image_(std::move(image)),
      orientation_(1),
      stored_width_(image_.width),
      stored_height_(image_.height) {}

uint8_t* RowSink::direct_row(int64_t y, Pixels pixels) {
  const bool same = (pixels == Pixels::kRgb && image_.channels == 3) ||
                    (pixels == Pixels::kGrey && image_.channels == 1);
  return same && orientation_ == 1 ? image_.row(y) : nullptr;
}

void RowSink::put(int64_t y, const uint8_t* row, Pixels pixels) {
  // EXIF names where the file's first row and first column belong: 1 top left, 2 top right,
  // 3 bottom right, 4 bottom left, 5 left top, 6 right top, 7 right bottom, 8 left bottom.
  const bool transposed = is_transposed(orientation_);
  const bool row_from_end =
      orientation_ == 3 || orientation_ == 4 || orientation_ == 6 || orientation_ == 7;
  const bool column_from_end =
      orientation_ == 2 || orientation_ == 3 || orientation_ == 7 || orientation_ == 8;
  const int64_t line = row_from_end ? stored_height_ - 1 - y : y;
  const int64_t first = column_from_end ? stored_width_ - 1 : 0;
  const ptrdiff_t pixel = image_.channels;
  const ptrdiff_t pitch = image_.width * image_.channels;
  uint8_t* target = image_.pixels.data() +
                    (transposed ? first * pitch + line * pixel : line * pitch + first * pixel);
  const ptrdiff_t step = (column_from_end ? -1 : 1) * (transposed ? pitch : pixel);
  const auto run = [&](auto converter) {
    converter(row, stored_width_, image_.channels, target, step);
  };
  switch (pixels) {
    case Pixels::kGrey:
      return run(convert<Pixels::kGrey>);
    case Pixels::kRgb:
      return run(convert<Pixels::kRgb>);
    case Pixels::kRgba:
      return run(convert<Pixels::kRgba>);
    case Pixels::kRgbaPremultiplied:
      return run(convert<Pixels::kRgbaPremultiplied>);
    case Pixels::kCmyk:
      return run(convert<Pixels::kCmyk>);
    case Pixels::kCmykInverted:
      return run(convert<Pixels::kCmykInverted>);
  }
}

}  // namespace dbps::image::internal

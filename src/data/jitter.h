// Colour jitter on planar pixels in host memory, as torchvision's ColorJitter does it on floats:
// every result is clamped to [0, 1].
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "image/image.h"

namespace dbps::data {

enum JitterTurn : int { kBrightness = 0, kContrast = 1, kSaturation = 2, kHue = 3 };

// The colour jitter of one picture (or patch): factors around 1, hue in turns; `order` is the
// random order in which 0 brightness, 1 contrast, 2 saturation, 3 hue are applied.
struct Jitter {
  double brightness = 1.0;
  double contrast = 1.0;
  double saturation = 1.0;
  double hue = 0.0;
  double mean_grey = 0.0;  // of the whole picture when contrast's turn comes, 0 .. 1; with one
                           // jitter a patch, of the part of the patch that lies in the picture
  std::array<int, 4> order = {0, 1, 2, 3};

  bool changes(int turn, int channels) const;  // false: this turn leaves the pixels as they are
  bool is_identity(int channels) const;
};

// Grey as torchvision weighs it.
inline constexpr double kGreyRed = 0.2989;
inline constexpr double kGreyGreen = 0.587;
inline constexpr double kGreyBlue = 0.114;

// Applies all turns in place to `count` pixels in [0, 1]; `planes` are 1 or 3 arrays.
template <typename T>
void apply_jitter(const Jitter& jitter, std::array<T*, 3> planes, int channels, int64_t count);

// The mean of values of mean_grey(), added in their order; 0 of none.
double mean_of(std::span<const double> greys);

// A rectangle of a picture, in pixels; x1 and y1 are outside.
struct Window {
  int64_t x0 = 0;
  int64_t y0 = 0;
  int64_t x1 = 0;
  int64_t y1 = 0;
};

// The mean grey of a window after the turns that come before contrast. A window of more than about
// a megapixel is sampled at even steps in both directions.
double mean_grey(const Jitter& jitter, const image::Image& picture, const Window& window);

}  // namespace dbps::data

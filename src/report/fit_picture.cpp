#include "report/fit_picture.h"

#include <algorithm>
#include <cmath>

#include "image/resize.h"

namespace dbps::report {
namespace {

constexpr int64_t kSmallestSide = 512;  // a smaller picture is enlarged: frames stay thin

image::Image as_rgb(const image::Image& picture) {
  if (picture.channels == 3) return picture;
  image::Image rgb(picture.width, picture.height, 3);
  for (size_t i = 0; i < picture.pixels.size(); ++i) {
    std::fill_n(rgb.pixels.begin() + static_cast<int64_t>(3 * i), 3, picture.pixels[i]);
  }
  return rgb;
}

}  // namespace

image::Image bring_to_side(const image::Image& picture, int64_t side) {
  const int64_t longer = std::max(picture.width, picture.height);
  const double factor = static_cast<double>(side) / static_cast<double>(longer);
  const auto scaled = [&](int64_t pixels) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(pixels) * factor));
  };
  const image::Image rgb = as_rgb(picture);
  return side == longer ? rgb : image::resize(rgb, scaled(picture.width), scaled(picture.height));
}

image::Image fit_picture(const image::Image& picture, int64_t max_side) {
  const int64_t side = std::max(picture.width, picture.height);
  return bring_to_side(picture, std::clamp(side, std::min(kSmallestSide, max_side), max_side));
}

}  // namespace dbps::report

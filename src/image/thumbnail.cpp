#include "image/thumbnail.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "image/resize.h"

namespace dbps::image {
namespace {

constexpr int64_t kBandPixels = 4 << 20;

// The level whose pixels are the largest that fit into a cell, and how many a side do.
std::pair<int, int64_t> choose_level(const SlideInfo& info, double largest_cell) {
  int level = 0;
  for (size_t i = 1; i < info.levels.size(); ++i) {
    if (info.levels[i].downsample <= largest_cell) level = static_cast<int>(i);
  }
  const double fit = largest_cell / info.levels[static_cast<size_t>(level)].downsample;
  return {level, std::max<int64_t>(1, static_cast<int64_t>(std::floor(fit)))};
}

}  // namespace

int64_t thumbnail_cost(const SlideInfo& info, double largest_cell) {
  const auto level = static_cast<size_t>(choose_level(info, largest_cell).first);
  return info.levels[level].width * info.levels[level].height;
}

Thumbnail make_thumbnail(Slide& slide, double largest_cell) {
  const auto [level, side] = choose_level(slide.info(), largest_cell);
  const SlideLevel& size = slide.info().levels[static_cast<size_t>(level)];
  Thumbnail thumbnail;
  thumbnail.cell = size.downsample * static_cast<double>(side);
  thumbnail.image = Image((size.width + side - 1) / side, (size.height + side - 1) / side, 3);
  const int64_t rows_at_once = std::max<int64_t>(1, kBandPixels / (size.width * side));
  for (int64_t first = 0; first < thumbnail.image.height; first += rows_at_once) {
    const int64_t rows = std::min(rows_at_once, thumbnail.image.height - first);
    Image band(size.width, std::min(rows * side, size.height - first * side), 3);
    slide.read(level, 0, first * side, band);
    shrink_into(band, side, thumbnail.image, first);
  }
  return thumbnail;
}

}  // namespace dbps::image

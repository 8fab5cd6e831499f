#include "ingest/tile_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace dbps::ingest {
namespace {

// Sums of a mask over rectangles.
class Counter {
 public:
  explicit Counter(const TissueMask& mask)
      : mask_(mask), pitch_(mask.width + 1), sums_(pitch_ * (mask.height + 1)) {
    for (int64_t y = 0; y < mask.height; ++y) {
      uint32_t row = 0;
      for (int64_t x = 0; x < mask.width; ++x) {
        row += mask.is_tissue[static_cast<size_t>(y * mask.width + x)];
        sums_[(y + 1) * pitch_ + x + 1] = sums_[y * pitch_ + x + 1] + row;
      }
    }
  }

  // Of the cells whose centres lie in a square of level-0 pixels.
  double share(double x, double y, double side) const {
    const int64_t left = first_cell(x, mask_.width), right = first_cell(x + side, mask_.width);
    const int64_t top = first_cell(y, mask_.height), bottom = first_cell(y + side, mask_.height);
    const int64_t cells = (right - left) * (bottom - top);
    if (cells == 0) return 0;
    const uint32_t tissue = sums_[bottom * pitch_ + right] - sums_[top * pitch_ + right] -
                            sums_[bottom * pitch_ + left] + sums_[top * pitch_ + left];
    return static_cast<double>(tissue) / static_cast<double>(cells);
  }

 private:
  int64_t first_cell(double at, int64_t count) const {
    return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(at / mask_.cell - 0.5)), 0, count);
  }

  const TissueMask& mask_;
  int64_t pitch_;
  std::vector<uint32_t> sums_;
};

}  // namespace

TileScale scale_to(const image::SlideInfo& slide, double pixel, double wanted, double tolerance) {
  TileScale scale;
  scale.level = -1;
  for (size_t level = 0; level < slide.levels.size(); ++level) {
    const double downsample = slide.levels[level].downsample;
    if (pixel * downsample > wanted * (1 + tolerance)) continue;
    scale.level = static_cast<int>(level);
    scale.level_downsample = downsample;
  }
  const double shrink = wanted / (pixel * scale.level_downsample);
  if (std::abs(shrink - 1) > tolerance) scale.shrink = shrink;
  return scale;
}

TileScale choose_scale(const image::SlideInfo& slide, double slide_mpp,
                       const store::Settings& settings, const std::string& name) {
  const auto num_levels = static_cast<int>(slide.levels.size());
  TileScale scale;
  if (settings.mpp == 0) {
    scale.level = settings.tiles.level;
    if (scale.level >= num_levels) {
      throw DataError(
          fmt::format("{}: it has no level {}, only 0 to {}", name, scale.level, num_levels - 1));
    }
    scale.level_downsample = slide.levels[static_cast<size_t>(scale.level)].downsample;
    scale.mpp = slide_mpp * scale.level_downsample;
    return scale;
  }
  scale = scale_to(slide, slide_mpp, settings.mpp, store::kSameScale);
  if (scale.level < 0) {
    throw DataError(
        fmt::format("{}: its pixels of {:.4g} microns are coarser than the {:.4g} "
                    "asked for",
                    name, slide_mpp, settings.mpp));
  }
  scale.mpp = slide_mpp * scale.downsample();
  return scale;
}

TileGrid keep_tiles(const image::SlideInfo& slide, const TileScale& scale,
                    const store::Settings& settings, const TissueMask& mask) {
  const image::SlideLevel& level = slide.levels[static_cast<size_t>(scale.level)];
  const double step =
      static_cast<double>(settings.tile_size - settings.tiles.overlap) * scale.shrink;
  TileGrid grid;
  grid.side = std::llround(static_cast<double>(settings.tile_size) * scale.shrink);
  const auto place = [&](int64_t index) { return std::llround(static_cast<double>(index) * step); };
  while (place(grid.columns) + grid.side <= level.width) ++grid.columns;
  while (place(grid.rows) + grid.side <= level.height) ++grid.rows;
  grid.is_slides_own = scale.shrink == 1 && settings.tiles.overlap == 0;
  const auto level0 = [&](int64_t at) {
    return static_cast<int32_t>(std::llround(static_cast<double>(at) * scale.level_downsample));
  };
  const Counter counter(mask);
  const double side = static_cast<double>(grid.side) * scale.level_downsample;
  for (int64_t row = 0; row < grid.rows; ++row) {
    for (int64_t column = 0; column < grid.columns; ++column) {
      GridTile tile{column, row, place(column), place(row), {}};
      tile.level0 = {level0(tile.x), level0(tile.y)};
      const double x = static_cast<double>(tile.x) * scale.level_downsample;
      const double y = static_cast<double>(tile.y) * scale.level_downsample;
      if (counter.share(x, y, side) >= settings.tiles.foreground) grid.kept.push_back(tile);
    }
  }
  return grid;
}

}  // namespace dbps::ingest

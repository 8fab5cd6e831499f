#include "ingest/tissue.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace dbps::ingest {
namespace {

using Plane = std::vector<uint8_t>;

// Glass without any tissue has an Otsu's threshold too, somewhere in its noise.
constexpr int kLeastThreshold = 12;

constexpr double kCellsATile = 8;  // a side, at least

Plane saturation(const image::Image& rgb) {
  Plane plane(static_cast<size_t>(rgb.width * rgb.height));
  for (size_t i = 0; i < plane.size(); ++i) {
    const uint8_t* p = rgb.pixels.data() + 3 * i;
    const int high = std::max({p[0], p[1], p[2]});
    const int low = std::min({p[0], p[1], p[2]});
    plane[i] = high == 0 ? 0 : static_cast<uint8_t>((255 * (high - low) + high / 2) / high);
  }
  return plane;
}

// The median of 3 x 3; beyond the edges the nearest value.
Plane smooth(const Plane& plane, int64_t width, int64_t height) {
  Plane result(plane.size());
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      std::array<uint8_t, 9> window;
      size_t n = 0;
      for (int64_t j = y - 1; j <= y + 1; ++j) {
        const int64_t row = std::clamp<int64_t>(j, 0, height - 1) * width;
        for (int64_t i = x - 1; i <= x + 1; ++i) {
          window[n++] = plane[static_cast<size_t>(row + std::clamp<int64_t>(i, 0, width - 1))];
        }
      }
      std::nth_element(window.begin(), window.begin() + 4, window.end());
      result[static_cast<size_t>(y * width + x)] = window[4];
    }
  }
  return result;
}

// Turns over the connected regions of `value` with fewer than `least` cells. Tissue holds together
// at corners, what is between does not. `spare_edge`: none that reaches the mask's edge.
void turn_small(TissueMask& mask, uint8_t value, double least, bool spare_edge) {
  const int64_t w = mask.width, h = mask.height;
  std::vector<char> seen(mask.is_tissue.size());
  std::vector<uint32_t> region;  // the largest thing here: a thumbnail has kMostCells at most
  for (int64_t start = 0; start < w * h; ++start) {
    if (seen[start] || mask.is_tissue[start] != value) continue;
    region.assign(1, static_cast<uint32_t>(start));
    seen[start] = true;
    bool at_edge = false;
    for (size_t next = 0; next < region.size(); ++next) {
      const int64_t x = region[next] % w, y = region[next] / w;
      at_edge = at_edge || x == 0 || y == 0 || x == w - 1 || y == h - 1;
      for (int64_t j = std::max<int64_t>(0, y - 1); j <= std::min(h - 1, y + 1); ++j) {
        for (int64_t i = std::max<int64_t>(0, x - 1); i <= std::min(w - 1, x + 1); ++i) {
          if (value == 0 && i != x && j != y) continue;
          const int64_t at = j * w + i;
          if (seen[at] || mask.is_tissue[at] != value) continue;
          seen[at] = true;
          region.push_back(static_cast<uint32_t>(at));
        }
      }
    }
    if (static_cast<double>(region.size()) >= least || (spare_edge && at_edge)) continue;
    for (const int64_t at : region) mask.is_tissue[at] = 1 - value;
  }
}

}  // namespace

double TissueMask::share() const {
  const int64_t tissue = std::accumulate(is_tissue.begin(), is_tissue.end(), int64_t{0});
  return static_cast<double>(tissue) / static_cast<double>(is_tissue.size());
}

double cell_for(const image::SlideInfo& info, double tile_side) {
  const double pixels =
      static_cast<double>(info.levels[0].width) * static_cast<double>(info.levels[0].height);
  return std::max(tile_side / kCellsATile, std::sqrt(pixels / kMostCells));
}

int otsu_threshold(const std::vector<int64_t>& histogram) {
  double count = 0, sum = 0;
  for (size_t v = 0; v < histogram.size(); ++v) {
    count += static_cast<double>(histogram[v]);
    sum += static_cast<double>(v) * static_cast<double>(histogram[v]);
  }
  double below = 0, sum_below = 0, best = -1;
  int threshold = 0;
  for (size_t v = 0; v + 1 < histogram.size(); ++v) {
    below += static_cast<double>(histogram[v]);
    sum_below += static_cast<double>(v) * static_cast<double>(histogram[v]);
    const double above = count - below;
    if (below == 0 || above == 0) continue;
    const double apart = sum_below / below - (sum - sum_below) / above;
    const double between = below * above * apart * apart;
    if (between > best) {
      best = between;
      threshold = static_cast<int>(v);
    }
  }
  return threshold;
}

TissueMask find_tissue(const image::Thumbnail& thumbnail, const store::TileSettings& settings,
                       double tile_cells) {
  TissueMask mask;
  mask.width = thumbnail.image.width;
  mask.height = thumbnail.image.height;
  mask.cell = thumbnail.cell;
  const Plane plane = smooth(saturation(thumbnail.image), mask.width, mask.height);
  mask.is_grey = std::all_of(plane.begin(), plane.end(), [](uint8_t value) { return value == 0; });
  if (settings.threshold >= 0) {
    mask.threshold = settings.threshold;
  } else {
    std::vector<int64_t> histogram(256);
    for (const uint8_t value : plane) ++histogram[value];
    mask.threshold = std::max(kLeastThreshold, otsu_threshold(histogram));
  }
  for (const uint8_t value : plane) mask.is_tissue.push_back(value > mask.threshold);
  turn_small(mask, 1, settings.specks * tile_cells, /*spare_edge=*/false);
  turn_small(mask, 0, settings.holes * tile_cells, /*spare_edge=*/true);
  return mask;
}

}  // namespace dbps::ingest

#include "data/erase.h"

#include <algorithm>
#include <cmath>

#include "data/cut.h"

namespace dbps::data {
namespace {

constexpr int kTries = 10;
constexpr double kLeastAspect = 0.3;
constexpr double kMostAspect = 3.3;
constexpr double kErasedSide = 0.97;

// The part of `rectangle` that lies in the patch, in the patch's pixels.
Window part_in(const Window& rectangle, const Window& patch) {
  const Window part = {
      std::max(rectangle.x0, patch.x0) - patch.x0, std::max(rectangle.y0, patch.y0) - patch.y0,
      std::min(rectangle.x1, patch.x1) - patch.x0, std::min(rectangle.y1, patch.y1) - patch.y0};
  if (part.x0 >= part.x1 || part.y0 >= part.y1) return {};
  return part;
}

Window middle(const Grid& grid) {
  const int64_t width = std::llround(kErasedSide * static_cast<double>(grid.patch_width));
  const int64_t height = std::llround(kErasedSide * static_cast<double>(grid.patch_height));
  const int64_t x = (grid.patch_width - width) / 2;
  const int64_t y = (grid.patch_height - height) / 2;
  return {x, y, x + width, y + height};
}

}  // namespace

Window draw_rectangle(RandomStream& random, double share, Size picture) {
  const double area =
      share * static_cast<double>(picture.width) * static_cast<double>(picture.height);
  for (int i = 0; i < kTries; ++i) {
    const double aspect = std::exp(random.uniform(std::log(kLeastAspect), std::log(kMostAspect)));
    const int64_t height = std::llround(std::sqrt(area * aspect));
    const int64_t width = std::llround(std::sqrt(area / aspect));
    if (height >= picture.height || width >= picture.width) continue;
    const int64_t x = random.below(picture.width - width + 1);
    const int64_t y = random.below(picture.height - height + 1);
    return {x, y, x + width, y + height};
  }
  return {};
}

std::vector<Window> draw_erased(RandomStream& random, const LoaderOptions& options, Size picture,
                                const Grid& grid, const std::vector<int64_t>& kept) {
  std::vector<Window> erased;
  const double ratio = options.drop.erase_ratio;
  switch (options.augment.erase) {
    case Erase::kNone:
      break;
    case Erase::kRandom: {
      const Window rectangle = draw_rectangle(random, ratio, picture);
      for (const int64_t index : kept) {
        erased.push_back(part_in(rectangle, patch_window(grid, index)));
      }
      break;
    }
    case Erase::kPatches: {
      const int64_t n = grid.size();
      const std::vector<int64_t> chosen =
          random.choose(n, std::llround(static_cast<double>(n) * ratio));
      for (const int64_t index : kept) {
        const bool is_chosen = std::binary_search(chosen.begin(), chosen.end(), index);
        erased.push_back(is_chosen ? middle(grid) : Window{});
      }
      break;
    }
  }
  return erased;
}

}  // namespace dbps::data

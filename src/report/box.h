// A rectangle of a source, on a picture of it at another scale.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace dbps::report {

struct Box {
  int64_t x = 0, y = 0, width = 0, height = 0;
};

// Edges are rounded, not sizes: neighbours meet without gap or overlap. What lies outside a picture
// of right x bottom pixels is cut off.
inline Box scaled_box(double x, double y, double width, double height, double scale_x,
                      double scale_y, int64_t right, int64_t bottom) {
  const auto edge = [](double at, double scale, int64_t limit) {
    return std::clamp<int64_t>(std::llround(at * scale), 0, limit);
  };
  const int64_t left = edge(x, scale_x, right);
  const int64_t top = edge(y, scale_y, bottom);
  return {left, top, edge(x + width, scale_x, right) - left,
          edge(y + height, scale_y, bottom) - top};
}

}  // namespace dbps::report

// Where patches lie in a picture, and how many of them are kept.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/options.h"

namespace dbps::data {

// The size a picture of (width, height) has after resizing.
struct Size {
  int64_t width = 0;
  int64_t height = 0;
};
Size resized(const DataOptions& options, Size source);

// Patches in row-major order. A picture smaller than a patch has one patch in that direction,
// padded.
struct Grid {
  int64_t columns = 0;
  int64_t rows = 0;
  int64_t patch_width = 0;
  int64_t patch_height = 0;
  std::vector<int64_t> x;  // left edges, one a column; may reach past the picture when padded
  std::vector<int64_t> y;  // top edges, one a row
  int64_t size() const { return columns * rows; }
};
// patch_size 0 (selection "whole"): one patch, the picture itself.
Grid make_grid(const DataOptions& options, Size picture);

// method.md 1.2: ceil((1 - r)(N - M)) + M, exact for a decimal r ("0.3"); N when N <= M.
int64_t kept_patches(const std::string& drop_ratio, int64_t n, int64_t m);
// ceil(L (1 - r)), at least 1.
int64_t scan_step(const std::string& drop_ratio, int64_t scan_patches);

}  // namespace dbps::data

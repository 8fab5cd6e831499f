// Where a slide shows tissue. docs/slides.md states the rule, to the last rounding.
#pragma once

#include <cstdint>
#include <vector>

#include "image/slide.h"
#include "image/thumbnail.h"
#include "store/format.h"

namespace dbps::ingest {

// Of thumbnails that are worked on at one time; a larger slide has larger cells. Finding tissue
// takes 15 bytes a cell.
inline constexpr double kMostCells = 48e6;

// Level-0 pixels a cell may measure, so that a tile of `tile_side` of them has eight a side.
double cell_for(const image::SlideInfo& info, double tile_side);

struct TissueMask {
  int64_t width = 0;  // cells, as the thumbnail
  int64_t height = 0;
  double cell = 1;
  bool is_grey = false;            // no cell has any saturation: nothing can be found
  int threshold = 0;               // saturation that tissue exceeds, 0 .. 255
  std::vector<uint8_t> is_tissue;  // 1 or 0, row-major

  double share() const;  // of the slide
};

// `tile_cells`: cells that a tile covers, the unit of settings.specks and settings.holes.
TissueMask find_tissue(const image::Thumbnail& thumbnail, const store::TileSettings& settings,
                       double tile_cells);

// Otsu's threshold of a histogram: values up to it against those above, the least of equals.
int otsu_threshold(const std::vector<int64_t>& histogram);

}  // namespace dbps::ingest

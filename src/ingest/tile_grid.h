// Which tiles of a slide a store keeps: a grid that starts at the slide's corner, and of it what
// shows tissue. docs/slides.md states the rule, to the last rounding.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/slide.h"
#include "ingest/tissue.h"
#include "store/format.h"
#include "store/vectors.h"

namespace dbps::ingest {

// Where the pixels of a slide's tiles come from.
struct TileScale {
  int level = 0;
  double level_downsample = 1;  // level-0 pixels a pixel of that level
  double shrink = 1;            // pixels of that level a pixel of a tile; 1: taken as they are
  double mpp = 0;               // microns a pixel of a tile; 0: unknown

  double downsample() const { return level_downsample * shrink; }
};

// The coarsest level whose pixels measure at most `wanted` (a share `tolerance` more counts as
// that), where those of level 0 measure `pixel`; tiles shrink by the rest, beyond that tolerance.
// level = -1: the slide is coarser. Leaves mpp alone.
TileScale scale_to(const image::SlideInfo& slide, double pixel, double wanted, double tolerance);

// `slide_mpp`: of level 0, or 0. Throws DataError, with `name` at its start, for a slide that has
// no such level, whose scale is needed but not known, or that is coarser than the store.
TileScale choose_scale(const image::SlideInfo& slide, double slide_mpp,
                       const store::Settings& settings, const std::string& name);

struct GridTile {
  int64_t column = 0;  // in the grid
  int64_t row = 0;
  int64_t x = 0;  // pixels of the scale's level
  int64_t y = 0;
  store::Place level0;
};

struct TileGrid {
  int64_t side = 0;  // of a tile, pixels of the scale's level
  int64_t columns = 0;
  int64_t rows = 0;
  bool is_slides_own = false;  // where the slide's tiles have this side, they are these
  std::vector<GridTile> kept;  // row by row
};

// Only tiles that lie in the slide wholly.
TileGrid keep_tiles(const image::SlideInfo& slide, const TileScale& scale,
                    const store::Settings& settings, const TissueMask& mask);

}  // namespace dbps::ingest

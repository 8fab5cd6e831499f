// The tiles that matter most, side by side.
#pragma once

#include <vector>

#include "image/image.h"
#include "report/heat_map.h"

namespace dbps::report {

inline constexpr int64_t kSheetTiles = 24;

// `pictures` show the first tiles of map.order, RGB or grey, kSheetTiles at most. Each has a frame
// in the colour of what it was chosen for, and under it its rank, its attention in times the mean,
// and its upper left corner.
image::Image draw_contact_sheet(const std::vector<image::Image>& pictures, const HeatMap& map);

}  // namespace dbps::report

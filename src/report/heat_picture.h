// Heat maps as pictures.
#pragma once

#include <cstdint>

#include "image/image.h"
#include "report/heat_map.h"

namespace dbps::report {

// Paints the tiles' colours on a band of a picture of the whole source, zoom_x and zoom_y of its
// pixels a source's pixel, whose first row is the picture's row `top`; leaves all else alone. Where
// tiles overlap, the one that is paid more attention shows. `covered`, grey and as large as the
// band, turns white where tiles are; null: not asked for.
void paint_heat(const HeatMap& map, const HeatScale& scale, double zoom_x, double zoom_y,
                int64_t top, image::Image& band, image::Image* covered = nullptr);

// The attention over `thumbnail`, a picture (grey or RGB) of the whole source, its longer side
// brought to 512 .. max_side pixels: tiles in colour, what is no tile as it is. Below it a strip
// with the scale of colours, in times the mean, and a length where microns are known.
image::Image draw_overlay(const image::Image& thumbnail, const HeatMap& map, const HeatScale& scale,
                          int64_t max_side);

}  // namespace dbps::report

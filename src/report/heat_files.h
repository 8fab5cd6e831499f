// Heat maps for other programs: tables, QuPath, viewers of slides.
#pragma once

#include <filesystem>

#include "report/heat_map.h"

namespace dbps::report {

// All are whole or absent, and take memory that does not grow with the number of tiles. Throw
// RuntimeFault where a file cannot be written.

// A row a tile by its number: index,x,y,width,height,score,rank,selected ("salient", "sub-salient"
// or empty); places and sizes in level-0 pixels.
void write_scores_csv(const std::filesystem::path& path, const HeatMap& map);

// A FeatureCollection that QuPath opens: each tile a detection, a polygon in level-0 pixels, with
// its name, measurements, and a class where it was chosen.
void write_geojson(const std::filesystem::path& path, const HeatMap& map);

// A pyramid of the colours, RGB without loss, white where no tile is. A pixel is a square of so
// many level-0 pixels that a tile has about eight a side; the resolution tags tell its microns
// where they are known.
void write_heat_tiff(const std::filesystem::path& path, const HeatMap& map, const HeatScale& scale);

}  // namespace dbps::report

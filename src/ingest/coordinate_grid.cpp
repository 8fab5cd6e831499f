#include "ingest/coordinate_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

// What tools call 4 is often 4.0001 of a slide.
constexpr double kSameScale = 0.01;

}  // namespace

fs::path find_coordinates(const fs::path& folder, const std::string& id) {
  for (const std::string& name : {id, fs::path(id).filename().string()}) {
    for (const char* ending : {".h5", "_patches.h5"}) {
      const fs::path file = folder / (name + ending);
      if (fs::exists(file)) return file;
    }
  }
  throw DataError(fmt::format("{} has no coordinates of '{}': neither {}.h5 nor {}_patches.h5",
                              folder.string(), id, id, id));
}

TileScale scale_of_coordinates(const store::PatchFrame& frame, const image::SlideInfo& slide,
                               double slide_mpp, const store::Settings& settings,
                               const std::string& name) {
  if (frame.size == 0) throw DataError(name + ": it does not say how large its patches are");
  if (frame.size != settings.tile_size) {
    throw DataError(
        fmt::format("{}: its patches are of {} pixels, the store's tiles of {}: "
                    "--tile-size {}",
                    name, frame.size, settings.tile_size, frame.size));
  }
  const auto levels = static_cast<int>(slide.levels.size());
  double wanted = frame.downsample;
  if (wanted == 0.0) {
    if (frame.level < 0 || frame.level >= levels) {
      throw DataError(fmt::format("{}: the slide has no level {}", name, frame.level));
    }
    wanted = slide.levels[static_cast<size_t>(frame.level)].downsample;
  }
  if (wanted < 1 - kSameScale) {
    throw DataError(
        fmt::format("{}: its patches have {:.4g} times the slide's pixels", name, 1 / wanted));
  }
  TileScale scale = scale_to(slide, 1, std::max(wanted, 1.0), kSameScale);
  scale.mpp = slide_mpp * scale.downsample();
  return scale;
}

TileGrid grid_of_coordinates(const store::SlideCoordinates& coordinates,
                             const image::SlideInfo& slide, const TileScale& scale,
                             const store::Settings& settings, const std::string& name) {
  if (coordinates.places.empty()) throw DataError(name + ": it holds no patch (0 rows)");
  const image::SlideLevel& level = slide.levels[static_cast<size_t>(scale.level)];
  TileGrid grid;
  grid.side = std::llround(static_cast<double>(settings.tile_size) * scale.shrink);
  grid.columns = level.width / grid.side;
  grid.rows = level.height / grid.side;
  grid.is_slides_own = scale.shrink == 1;
  for (const store::Place& place : coordinates.places) {
    GridTile tile;
    tile.level0 = place;
    tile.x = std::llround(place.x / scale.level_downsample);
    tile.y = std::llround(place.y / scale.level_downsample);
    tile.column = tile.x / grid.side;
    tile.row = tile.y / grid.side;
    const bool inside =
        place.x >= 0 && place.y >= 0 && tile.x < level.width && tile.y < level.height;
    if (!inside) {
      throw DataError(fmt::format("{}: the patch at ({}, {}) lies outside the slide of {} x {}",
                                  name, place.x, place.y, slide.levels[0].width,
                                  slide.levels[0].height));
    }
    grid.is_slides_own = grid.is_slides_own && tile.x % grid.side == 0 && tile.y % grid.side == 0 &&
                         tile.column < grid.columns && tile.row < grid.rows;
    grid.kept.push_back(tile);
  }
  if (slide.in_bands) {
    std::stable_sort(grid.kept.begin(), grid.kept.end(),
                     [](const GridTile& a, const GridTile& b) { return a.y < b.y; });
  }
  return grid;
}

}  // namespace dbps::ingest

// Tiles where another tool has put them: CLAM's and TRIDENT's files of coordinates, one a slide.
#pragma once

#include <filesystem>
#include <string>

#include "image/slide.h"
#include "ingest/tile_grid.h"
#include "store/slide_coordinates.h"

namespace dbps::ingest {

// The file in `folder` that belongs to a slide: <id>.h5 or <id>_patches.h5, else the same with the
// last part of the id alone. Throws DataError where there is none.
std::filesystem::path find_coordinates(const std::filesystem::path& folder, const std::string& id);

// The level with the largest pixels that are no larger than the patches' own, which shrink by the
// rest. Where the file gives a level and no downsample, it is that level's. Throws DataError, with
// `name` at its start, for patches of another size than the store's tiles, of a size that the file
// does not say, or of smaller pixels than the slide has.
TileScale scale_of_coordinates(const store::PatchFrame& frame, const image::SlideInfo& slide,
                               double slide_mpp, const store::Settings& settings,
                               const std::string& name);

// In the order of the file; from top to bottom of a slide that is read in bands. A tile may reach
// beyond the slide. Throws DataError, with `name` at its start, when there is none or one lies
// outside the slide.
TileGrid grid_of_coordinates(const store::SlideCoordinates& coordinates,
                             const image::SlideInfo& slide, const TileScale& scale,
                             const store::Settings& settings, const std::string& name);

}  // namespace dbps::ingest

// Where CLAM or TRIDENT put the patches of a slide: the dataset `coords` of an HDF5 file, and what
// its attributes say of their size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "store/vectors.h"

namespace dbps::store {

// The square that a patch is of its slide. 0: the file does not say.
struct PatchFrame {
  int64_t size = 0;         // pixels of its side when it is cut: `patch_size`
  double downsample = 0.0;  // level-0 pixels a pixel of it
  int32_t level = 0;        // of the slide's pyramid, that it is read from: CLAM's `patch_level`
  int64_t width = 0;        // of the slide, level-0 pixels: TRIDENT's `level0_width`
  int64_t height = 0;
};

struct SlideCoordinates {
  std::vector<Place> places;  // top-left corners, level-0 pixels; TRIDENT's may be empty
  PatchFrame frame;
};

// TRIDENT's downsample is patch_size_level0 / patch_size; CLAM's the attribute `downsample` times
// `custom_downsample`, and 1 where both are left out at level 0. Throws DataError naming the file.
SlideCoordinates read_slide_coordinates(const std::filesystem::path& path);

}  // namespace dbps::store

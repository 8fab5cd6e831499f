// A store's coordinates and features as CLAM and TRIDENT lay them out: an HDF5 file a slide.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "store/reader.h"

namespace dbps::store {

enum class SlideLayout { kClam, kTrident };
SlideLayout slide_layout_of(const std::string& name);  // "clam", "trident"; else ConfigError

struct WrittenSlides {
  int64_t slides = 0;
  int64_t patches = 0;
  std::filesystem::path folder;  // where the files lie, one a slide: <id>.h5
};

// Writes every bag's `coords`, (N, 2) of int64, level-0 pixels, and of a store of features its
// `features`, (N, D) of float32, below `folder`; the parts of a slide come together. Files:
//
//   kind of store   CLAM                TRIDENT
//   tiles           patches/<id>.h5     patches/<id>_patches.h5
//   features        h5_files/<id>.h5    features/<id>.h5
//
// `coords` has the layout's attributes, as far as the store knows them: without a tile size none of
// size, without mpp none of magnification. A file is whole or absent, and replaces one of its name;
// memory is flat in N but for the coordinates. `progress(slides done, in all)` may be empty.
//
// Throws ConfigError for a store of pictures, DataError for a damaged bag or an id that is no name
// of a file, RuntimeFault when the disk fails.
WrittenSlides write_slides(const Reader& reader, const std::filesystem::path& folder,
                           SlideLayout layout,
                           const std::function<void(int64_t, int64_t)>& progress = {});

}  // namespace dbps::store

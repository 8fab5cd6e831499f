// A folder of what was made here: whole, or no folder at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "image/image.h"

namespace dbps::ingest {

struct MadePicture {
  std::filesystem::path path;  // of a PNG, below the folder
  image::Image image;
};

// Called with pictures done and to do, by one thread at a time.
using MakingProgress = std::function<void(int64_t done, int64_t total)>;

// Calls make(item, where) for items 0 .. total-1 on `jobs` threads, each of which writes its files
// below `where`, then finish(where), which may add some. All is written beside the folder and
// renamed, so that a killed run leaves no half of it. Throws ConfigError where the folder holds
// something already, RuntimeFault where it cannot be written.
void make_folder(const std::filesystem::path& folder, int64_t total, int jobs,
                 const std::function<void(int64_t, const std::filesystem::path&)>& make,
                 const MakingProgress& progress = {},
                 const std::function<void(const std::filesystem::path&)>& finish = {});

// The same for pictures, which are written as they come from make(item).
void make_folder_of_pictures(const std::filesystem::path& folder, int64_t total, int jobs,
                             const std::function<MadePicture(int64_t)>& make,
                             const MakingProgress& progress = {},
                             const std::function<void(const std::filesystem::path&)>& finish = {});

}  // namespace dbps::ingest

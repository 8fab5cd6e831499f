// A store of tiles as large as a set of real slides and as small as its tables: all slides share
// few tiles, of which many rows of /tiles name the same bytes. For measuring what grows with the
// number of tiles (planning, reading, memory, balance) without terabytes.
#pragma once

#include <cstdint>
#include <filesystem>

#include "ingest/made_folder.h"

namespace dbps::ingest {

// The defaults have CAMELYON16's shape.
struct DemoScaleOptions {
  uint64_t seed = 0;
  int train = 270;  // slides a split
  int validation = 0;
  int test = 129;
  int64_t tiles_min = 4'000;  // of a slide, log-uniform between the two
  int64_t tiles_max = 100'000;
  int pool = 512;  // different tiles; a slide's are consecutive ones, from the last on to the first
};

struct DemoScale {
  int64_t slides = 0;
  int64_t tiles = 0;
  uint64_t tile_bytes = 0;    // encoded, as a reader of all tiles counts them
  uint64_t stored_bytes = 0;  // on the disk
};

// Tiles of slide `index` (over all splits).
int64_t demo_scale_tiles(const DemoScaleOptions& options, int64_t index);

// Writes `store`, with labels.csv (id, label, split; every second slide is "tumor"): whole, or no
// folder at all. Memory is flat in the number of slides. Throws ConfigError for options that make
// no store, and errors as make_folder.
DemoScale make_demo_scale(const DemoScaleOptions& options, const std::filesystem::path& store,
                          const MakingProgress& progress = {});

}  // namespace dbps::ingest

// How sources become bags.
#pragma once

#include <cstdint>
#include <string>

#include "store/format.h"

namespace dbps::ingest {

struct IngestOptions {
  store::Kind kind = store::Kind::kImages;  // of kFeatures only bytes and jobs count
  store::Codec codec = store::Codec::kKeep;
  int quality = 90;     // of codec jpeg, and of tiles that cannot be kept, 1 .. 100
  int channels = 3;     // 3: RGB, 1: grey; with codec keep, sources must be grey
  int64_t longest = 0;  // pixels; pictures with a longer side are shrunk. 0: none
  uint64_t shard_bytes = 4'000'000'000;  // encoded bytes a shard
  int jobs = 0;                          // threads; 0: the cores this process may use
  double max_pixels = 1e9;  // larger pictures are refused; also those in flight together

  // kind = tiles.
  int64_t tile_size = 256;     // pixels a side
  double mpp = 0;              // microns a pixel that tiles are brought to; 0: by level
  int level = -1;              // of the slides; -1: level 0, and slides must know their mpp
  double slide_mpp = 0;        // of slides that do not say
  store::TileSettings tissue;  // but for the level
  std::string coordinates;     // folder of CLAM's or TRIDENT's files, in place of tissue; "": none
  bool draw = true;            // pictures of the tissue found and the tiles kept, into the store
};

// What a store of pictures or tiles of these options is made with. Throws ConfigError for options
// that cannot go together.
store::Settings settings_of(const IngestOptions& options);

// The other way: what makes a store of tiles with these settings. Where files of coordinates chose
// the tiles of that store, these are chosen by tissue, at its scale.
IngestOptions options_of(const store::Settings& settings);

}  // namespace dbps::ingest

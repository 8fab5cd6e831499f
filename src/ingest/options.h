// How sources become bags.
#pragma once

#include <cstdint>

#include "store/format.h"

namespace dbps::ingest {

struct IngestOptions {
  store::Kind kind = store::Kind::kImages;  // or kFeatures, for which only bytes and jobs count
  store::Codec codec = store::Codec::kKeep;
  int quality = 90;                      // of codec jpeg, 1 .. 100
  int channels = 3;                      // 3: RGB, 1: grey; with codec keep, sources must be grey
  int64_t longest = 0;                   // pixels; pictures with a longer side are shrunk. 0: none
  uint64_t shard_bytes = 4'000'000'000;  // encoded bytes a shard
  int jobs = 0;                          // threads; 0: the cores this process may use
  double max_pixels = 1e9;  // larger pictures are refused; also those in flight together
};

// What a store of pictures of these options is made with. Throws ConfigError for options that
// cannot go together.
store::Settings settings_of(const IngestOptions& options);

}  // namespace dbps::ingest

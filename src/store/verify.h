// Every checksum of a store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace dbps::store {

struct Damage {
  std::string file;     // "shard-00000.h5" or "store.json"
  std::string bag;      // "" when the whole file is concerned
  std::string source;   // what to ingest again; "" when unknown
  std::string what;     // "checksum", "missing", ...
  bool is_open = true;  // false: the file could not be opened, and may be whole
};

struct Verification {
  int64_t shards = 0;
  int64_t bags = 0;
  int64_t tiles = 0;
  uint64_t bytes = 0;           // read
  std::vector<Damage> damages;  // in order of file and bag; empty: the store is whole
};

// Reads every byte once, shards in parallel. Damage is reported, not thrown; DataError only when
// `folder` is no store at all. `progress(bytes done, bytes in all)` may be empty, and is called
// from several threads.
Verification verify(const std::filesystem::path& folder, int threads,
                    const std::function<void(uint64_t, uint64_t)>& progress = {});

}  // namespace dbps::store

// One shard file: attributes and tables through HDF5, the blob at a known place in the file. For
// kind = features the dataset /features stands where the others have /blob, and is meant by "blob".
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "store/format.h"
#include "store/tile_table.h"

namespace dbps::store {

struct ShardTables {
  std::vector<Tile> tiles;
  std::vector<Source> sources;
  std::vector<Bag> bags;
};

struct Shard {
  Settings settings;
  ShardTables tables;
  uint64_t blob_offset = 0;  // bytes from the start of the file
  uint64_t blob_bytes = 0;
};

// Checked: format and version, the tables' checksum, and that every bag's tiles and every tile's
// bytes lie inside the shard. Throws DataError naming the file and what to do.
Shard read_shard(const std::filesystem::path& path);

// A shard to read tiles of: the same checks, but its tiles stay in the file (tile_table.h).
struct MappedShard {
  Settings settings;
  TileTable tiles;
  std::vector<Source> sources;
  std::vector<Bag> bags;
  uint64_t blob_offset = 0;
  uint64_t blob_bytes = 0;
};
MappedShard map_shard(const std::filesystem::path& path);

// Makes the file at its exact size, lets `fill(descriptor, offset of the blob)` write the blob, and
// syncs it. The caller renames. Throws RuntimeFault naming the file.
void write_shard(const std::filesystem::path& path, const Settings& settings,
                 const ShardTables& tables, uint64_t blob_bytes,
                 const std::function<void(int, uint64_t)>& fill);

std::string shard_file_name(int64_t number);              // "shard-00042.h5"
int64_t shard_number(const std::filesystem::path& path);  // -1 for any other name

}  // namespace dbps::store

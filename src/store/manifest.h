// store.json: which shards make the store, with what settings. Written last, so that a store is
// what this file says and nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/format.h"
#include "store/shard.h"

namespace dbps::store {

struct ShardEntry {
  std::string name;  // "shard-00000.h5"
  uint64_t bytes = 0;
  uint32_t crc32c = 0;  // of the whole file
  int64_t bags = 0;
  int64_t tiles = 0;
  uint64_t blob_offset = 0;
  uint64_t blob_bytes = 0;
  uint32_t frame_crc32c = 0;  // of all outside the blob: HDF5 is never given altered bytes
};

// What store.json will say of a shard file.
ShardEntry describe_shard(const std::filesystem::path& path, const Shard& shard);
// Throws DataError when the file's size, or a byte outside the blob, is not as `entry` says.
void check_frame(const std::filesystem::path& path, const ShardEntry& entry);

struct Manifest {
  Settings settings;
  std::vector<ShardEntry> shards;
  std::string fingerprint;
  std::string tool_version;  // that wrote it
};

std::filesystem::path manifest_path(const std::filesystem::path& folder);

// Throws DataError: no store, an unfinished one, or a store.json that was altered.
Manifest read_manifest(const std::filesystem::path& folder);
// Atomic. Throws RuntimeFault.
void write_manifest(const std::filesystem::path& folder, const Manifest& manifest);

// Calls visit(name, field) for each of them, as store.json and the shards' attributes name them.
template <typename Tiles, typename Visit>
void visit_tile_settings(Tiles& tiles, const Visit& visit) {
  visit("overlap", tiles.overlap);
  visit("level", tiles.level);
  visit("threshold", tiles.threshold);
  visit("foreground", tiles.foreground);
  visit("specks", tiles.specks);
  visit("holes", tiles.holes);
  visit("given", tiles.given);
}

template <typename Origin, typename Visit>
void visit_encoder_origin(Origin& origin, const Visit& visit) {
  visit("encoder_kind", origin.kind);
  visit("encoder_weights", origin.weights);
  visit("encoder_hash", origin.hash);
  visit("encoder_stages", origin.stages);
  visit("encoder_projector", origin.projector);
  visit("encoder_precision", origin.precision);
  visit("encoder_input", origin.input);
}

// Settings as JSON text, for the journal; and back (throws DataError).
std::string settings_to_text(const Settings& settings);
Settings settings_from_text(const std::string& text);

// "codec keep (asked for: png)": where two settings differ.
std::string settings_difference(const Settings& found, const Settings& wanted);

// Over (id, and of each tile its checksum and size) in id order: the same pixels give the same
// fingerprint however they are cut into shards or parts, and in whatever order they came.
class Fingerprint {
 public:
  // The next bag in id order: the tiles of its parts.
  void add(std::string_view id, const std::vector<std::span<const Tile>>& parts);
  std::string text() const;

 private:
  uint64_t value_ = 0;
};
std::string fingerprint_of(const std::vector<const ShardTables*>& shards);

// CRC-32C of a whole file, read piece by piece. Throws DataError.
uint32_t file_crc32c(const std::filesystem::path& path);

}  // namespace dbps::store

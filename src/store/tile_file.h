// The tiles of one bag while it is being made: in a file without a name, so that memory is flat in
// their number, and a killed process leaves nothing behind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/files.h"
#include "store/format.h"

namespace dbps::store {

// One thread at a time.
class TileFile {
 public:
  // In `folder`, which holds the store to be: the tiles go to its disk twice. Throws RuntimeFault.
  explicit TileFile(const std::filesystem::path& folder);

  // Throws DataError for a tile of over 4 GB, RuntimeFault when the disk fails.
  void add(std::span<const uint8_t> bytes, int32_t x, int32_t y);

  std::span<const Tile> tiles() const { return tiles_; }  // offsets count in this file
  uint64_t bytes() const { return bytes_; }
  int descriptor() const { return file_.get(); }

 private:
  std::filesystem::path path_;  // for messages
  FileDescriptor file_;
  std::vector<Tile> tiles_;
  uint64_t bytes_ = 0;
};

}  // namespace dbps::store

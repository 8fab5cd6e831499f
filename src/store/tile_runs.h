// Reading many tiles of a file in few calls: tiles that lie end to end come together.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "store/format.h"

namespace dbps::store {

struct TileRun {
  std::span<const Tile> tiles;
  std::span<const uint8_t> bytes;  // theirs, end to end; borrowed until visit returns
};

// Calls visit for all of `tiles` in order, some megabytes at a time; it returns whether to go on.
// Offsets count from `base` in the file. `buffer` is the caller's, to be reused; it only grows.
// Throws DataError naming `path`.
void for_each_run(int fd, uint64_t base, std::span<const Tile> tiles,
                  const std::filesystem::path& path, std::vector<uint8_t>& buffer,
                  const std::function<bool(const TileRun&)>& visit);
// The same with memory of its own.
void for_each_run(int fd, uint64_t base, std::span<const Tile> tiles,
                  const std::filesystem::path& path,
                  const std::function<bool(const TileRun&)>& visit);

// The place in the run of the first tile whose checksum does not hold; -1: all hold.
int64_t first_altered(const TileRun& run);

// Whether every checksum holds.
bool tiles_hold(int fd, uint64_t base, std::span<const Tile> tiles,
                const std::filesystem::path& path);

}  // namespace dbps::store

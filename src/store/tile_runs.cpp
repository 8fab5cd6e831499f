#include "store/tile_runs.h"

#include "base/crc32c.h"
#include "base/files.h"

namespace dbps::store {

namespace {

constexpr uint64_t kRunBytes = 4 << 20;

}  // namespace

void for_each_run(int fd, uint64_t base, std::span<const Tile> tiles,
                  const std::filesystem::path& path, std::vector<uint8_t>& buffer,
                  const std::function<bool(const TileRun&)>& visit) {
  for (size_t first = 0; first < tiles.size();) {
    const uint64_t start = tiles[first].offset;
    uint64_t end = start + tiles[first].bytes;
    size_t last = first + 1;
    for (; last < tiles.size() && tiles[last].offset == end; ++last) {
      if (end + tiles[last].bytes - start > kRunBytes) break;
      end += tiles[last].bytes;
    }
    if (buffer.size() < end - start) buffer.resize(end - start);
    const std::span<uint8_t> bytes(buffer.data(), end - start);
    pread_exactly(fd, bytes.data(), bytes.size(), base + start, path);
    if (!visit({tiles.subspan(first, last - first), bytes})) return;
    first = last;
  }
}

void for_each_run(int fd, uint64_t base, std::span<const Tile> tiles,
                  const std::filesystem::path& path,
                  const std::function<bool(const TileRun&)>& visit) {
  std::vector<uint8_t> buffer;
  for_each_run(fd, base, tiles, path, buffer, visit);
}

int64_t first_altered(const TileRun& run) {
  const uint8_t* bytes = run.bytes.data();
  for (size_t i = 0; i < run.tiles.size(); ++i) {
    const Tile& tile = run.tiles[i];
    if (crc32c(bytes, tile.bytes) != tile.crc32c) return static_cast<int64_t>(i);
    bytes += tile.bytes;
  }
  return -1;
}

bool tiles_hold(int fd, uint64_t base, std::span<const Tile> tiles,
                const std::filesystem::path& path) {
  bool hold = true;
  for_each_run(fd, base, tiles, path, [&](const TileRun& run) {
    hold = first_altered(run) < 0;
    return hold;
  });
  return hold;
}

}  // namespace dbps::store

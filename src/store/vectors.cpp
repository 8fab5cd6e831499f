#include "store/vectors.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc32c.h"
#include "base/error.h"

namespace dbps::store {
namespace {

constexpr uint64_t kPieceBytes = 4 << 20;

// visit(first row, bytes of some rows), in order.
void read_in_pieces(const Vectors& vectors, uint64_t width,
                    const std::function<void(int64_t, std::span<const uint8_t>)>& visit) {
  const auto most = static_cast<int64_t>(std::max<uint64_t>(1, kPieceBytes / width));
  std::vector<uint8_t> buffer;
  for (int64_t first = 0; first < vectors.count; first += most) {
    const int64_t count = std::min(most, vectors.count - first);
    buffer.resize(static_cast<size_t>(count) * width);
    vectors.read(first, count, buffer.data());
    visit(first, buffer);
  }
}

}  // namespace

std::vector<Tile> measure_vectors(const Vectors& vectors, const Settings& settings,
                                  std::string& hash) {
  DBPS_CHECK(settings.kind == Kind::kFeatures, "vectors go into a store of features");
  const uint64_t width = vector_bytes(settings);
  std::vector<Tile> tiles;
  tiles.reserve(static_cast<size_t>(vectors.count));
  uint32_t all = 0;
  read_in_pieces(vectors, width, [&](int64_t, std::span<const uint8_t> piece) {
    all = crc32c(piece.data(), piece.size(), all);
    for (size_t at = 0; at < piece.size(); at += width) {
      Tile tile;
      tile.bytes = static_cast<uint32_t>(width);
      tile.crc32c = crc32c(piece.data() + at, width);
      tile.x = static_cast<int32_t>(tiles.size());
      if (!vectors.places.empty()) {
        tile.x = vectors.places[tiles.size()].x;
        tile.y = vectors.places[tiles.size()].y;
      }
      tiles.push_back(tile);
    }
  });
  hash = fmt::format("crc32c:{:08x}", all);
  return tiles;
}

void copy_vectors(const Vectors& vectors, const Settings& settings, std::span<const Tile> tiles,
                  const std::string& path,
                  const std::function<void(std::span<const uint8_t>)>& write) {
  const uint64_t width = vector_bytes(settings);
  read_in_pieces(vectors, width, [&](int64_t first, std::span<const uint8_t> piece) {
    for (size_t at = 0; at < piece.size(); at += width) {
      if (crc32c(piece.data() + at, width) != tiles[first + at / width].crc32c) {
        throw DataError(fmt::format("{} changed while it was read: ingest it again", path));
      }
    }
    write(piece);
  });
}

}  // namespace dbps::store

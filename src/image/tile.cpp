#include "image/tile.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "image/formats.h"

namespace dbps::image {

void decode_tile(std::span<const uint8_t> bytes, const std::string& name, const TileForm& form,
                 Image& tile) {
  DBPS_CHECK(tile.channels == 1 || tile.channels == 3, "tiles have 1 or 3 channels");
  tile.pixels.resize(static_cast<size_t>(tile.width * tile.height * tile.channels));
  if (sniff(bytes) == Format::kJpeg) {
    internal::decode_jpeg_tile(bytes, name, form, tile);
    return;
  }
  const Info info = probe(bytes, name);
  internal::require_tile_size(info.width, info.height, tile, name);
  DecodeOptions options;
  options.channels = tile.channels;
  tile = decode(bytes, name, options);
}

namespace internal {

void require_tile_size(int64_t width, int64_t height, const Image& tile, const std::string& name) {
  if (width == tile.width && height == tile.height) return;
  throw DataError(fmt::format("{}: a tile of {} x {} pixels, where {} x {} were expected", name,
                              width, height, tile.width, tile.height));
}

}  // namespace internal
}  // namespace dbps::image

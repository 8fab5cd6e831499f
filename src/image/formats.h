// One pair of functions a file format, behind codec.h. Private to this room.
//
// probe_* reads headers alone. decode_* expects bytes that probe_* of the same format has accepted
// and the caller has found small enough: they ask for memory at once. Both throw DataError.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "image/codec.h"
#include "image/tile.h"

namespace dbps::image::internal {

using Bytes = std::span<const uint8_t>;

Info probe_jpeg(Bytes bytes, const std::string& name);
Info probe_png(Bytes bytes, const std::string& name);
Info probe_tiff(Bytes bytes, const std::string& name);

Image decode_jpeg(Bytes bytes, const std::string& name, const Info& info,
                  const DecodeOptions& options);
Image decode_png(Bytes bytes, const std::string& name, const Info& info, int channels);
Image decode_tiff(Bytes bytes, const std::string& name, const Info& info, int channels);

// decode_tile() of a JPEG; `tile` has room for its pixels.
void decode_jpeg_tile(Bytes bytes, const std::string& name, const TileForm& form, Image& tile);
// Throws DataError where a tile of width x height came in place of one of `tile`'s size.
void require_tile_size(int64_t width, int64_t height, const Image& tile, const std::string& name);

// Throws DataError: "NAME: damaged JPEG: REASON".
[[noreturn]] void fail_damaged(const std::string& name, const char* format,
                               const std::string& reason);

}  // namespace dbps::image::internal

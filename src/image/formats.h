// One pair of functions a file format, behind codec.h. Private to this room.
//
// probe_* reads headers alone. decode_* expects bytes that probe_* of the same format has accepted
// and the caller has found small enough: they ask for memory at once. Both throw DataError.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "image/codec.h"

namespace dbps::image::internal {

using Bytes = std::span<const uint8_t>;

Info probe_jpeg(Bytes bytes, const std::string& name);
Info probe_png(Bytes bytes, const std::string& name);
Info probe_tiff(Bytes bytes, const std::string& name);

Image decode_jpeg(Bytes bytes, const std::string& name, const Info& info,
                  const DecodeOptions& options);
Image decode_png(Bytes bytes, const std::string& name, const Info& info, int channels);
Image decode_tiff(Bytes bytes, const std::string& name, const Info& info, int channels);

// Throws DataError: "NAME: damaged JPEG: REASON".
[[noreturn]] void fail_damaged(const std::string& name, const char* format,
                               const std::string& reason);

}  // namespace dbps::image::internal

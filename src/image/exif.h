// The one thing taken from EXIF: how the picture is to be turned. Private to this room.
#pragma once

#include <cstdint>
#include <span>

namespace dbps::image::internal {

// The orientation (1..8) in an EXIF block, which starts with its TIFF header ("II*\0" or "MM\0*").
// A block without one, or a broken one, gives 1: it says nothing about the pixels.
int exif_orientation(std::span<const uint8_t> block);

}  // namespace dbps::image::internal

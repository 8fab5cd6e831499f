// Tiles as a store of slides holds them: whole JPEG or PNG pictures, or the JPEG tiles of a slide
// as they lie in it, whose tables are kept once a slide.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "image/image.h"

namespace dbps::image {

// What the tiles of one source have in common: store::Source's fields of the same names.
struct TileForm {
  std::span<const uint8_t> jpeg_tables;  // quantisation and Huffman tables; empty: in every tile
  std::string_view photometric;          // "RGB", "YCbCr"; empty: as the tile's own markers say
};

// Decodes a tile into `tile`, whose width, height and channels (3: RGB, 1: grey) say what is
// expected; its pixels are made where they are not there, and overwritten. A tile of a slide gives
// the pixels that the slide's own readers give. Any thread, each with a `tile` of its own. Throws
// DataError with `name` at its start for a damaged tile and for one of another size; `tile` may be
// used again.
void decode_tile(std::span<const uint8_t> bytes, const std::string& name, const TileForm& form,
                 Image& tile);

}  // namespace dbps::image

// libjpeg-turbo and nothing else: what `dbps bench decode` holds decode() and decode_tile()
// against.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "image/tile.h"

namespace dbps::image {

// Rows of RGB, as they lie in the file, into `rgb`, which grows to the largest picture and is
// overwritten by the next. `bytes` are a colour JPEG that decode() reads, or with its `form` a tile
// that decode_tile() reads. Any thread, each with an `rgb` of its own. Throws DataError with `name`
// at its start.
void decode_jpeg_bare(std::span<const uint8_t> bytes, const std::string& name, const TileForm& form,
                      std::vector<uint8_t>& rgb);

}  // namespace dbps::image

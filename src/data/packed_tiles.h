// Tiles, or vectors, as whole 64-bit words, which ranks can add up: a sum with zeros alters no bit.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "data/tile_reader.h"

namespace dbps::data {

// (n, words) int64, a tile a row, where the pixels lie. `greys`: with Tiles::mean_grey, which all
// ranks must say alike, also one without a tile.
at::Tensor pack(const Tiles& tiles, bool greys);
// The tiles of such rows, of the shape and type of `like`.
Tiles unpack(const at::Tensor& words, const at::Tensor& like, bool greys);

}  // namespace dbps::data

// Tiles of the slides of a batch, from the store to planar pixels.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "data/cut.h"
#include "data/loader.h"
#include "data/whole_bag.h"
#include "image/image.h"

namespace dbps::data {

// Tiles as DevicePatches takes them.
struct Tiles {
  at::Tensor pixels;              // (n, C, t, t) uint8 on the host, pinned when the device is a GPU
  std::vector<double> mean_grey;  // with one jitter a tile whose contrast changes it: a tile, as
                                  // Jitter::mean_grey; else empty
};

// Immutable; any thread may call. Borrows the stores. Rows number the batch's kept tiles.
class TileReader {
 public:
  // `bags` and `cuts`: one a slide of the batch.
  TileReader(std::vector<WholeBag> bags, std::vector<Cut> cuts, const LoaderOptions& options);

  // Room for n tiles.
  Tiles make_room(size_t n) const;
  int64_t tile_bytes() const;  // of one tile's pixels
  int channels() const { return channels_; }
  bool grey_of_tiles() const { return grey_of_tiles_; }  // whether Tiles::mean_grey is of use
  // Reads `rows` into places first, first + 1, ... of `tiles`, with no memory but `buffer`, the
  // caller's to be reused, and one decoded tile. Returns the encoded bytes read. Throws DataError
  // naming slide and tile.
  int64_t read(std::span<const int64_t> rows, size_t first, Tiles& tiles,
               std::vector<uint8_t>& buffer) const;
  // What Jitter::mean_grey of a slide's one jitter is the mean of: of at most kGreySample of its
  // kept tiles, at even steps, since a slide is never read twice to augment it. Read are those that
  // lie in [first, last) of the kept ones; the others are 0. Empty where the jitter asks for none.
  static constexpr int64_t kGreySample = 16;
  std::vector<double> greys(size_t bag, const Jitter& jitter, std::pair<int64_t, int64_t> part,
                            std::vector<uint8_t>& buffer) const;

 private:
  struct Row {
    size_t bag = 0;
    int64_t number = 0;  // of the tile, in its slide
    store::TilePlace place;
  };
  Row row(int64_t row) const;
  image::Image make_tile() const;  // without pixels
  void decode(std::span<const uint8_t> bytes, const Row& row, image::Image& tile) const;
  bool measures_grey(const Jitter& jitter) const;

  std::vector<WholeBag> bags_;
  std::vector<Cut> cuts_;
  std::vector<int64_t> offsets_;
  int channels_;
  int64_t tile_size_;
  bool pin_memory_;
  bool grey_of_tiles_ = false;
};

}  // namespace dbps::data

#include "data/slide_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "image/draw.h"
#include "image/resize.h"
#include "image/tile.h"

namespace dbps::data {
namespace {

constexpr int64_t kTilesATurn = 64;  // and thread

}  // namespace

image::Image read_tile(const WholeBag& slide, int64_t number) {
  const store::Reader& store = slide.store();
  const store::TilePlace place = slide.place(number);
  const store::Source& source = store.source(place.bag);
  const int64_t side = store.settings().tile_size;
  image::Image tile(side, side, 3);
  image::decode_tile(store.read(place.bag, place.tile),
                     fmt::format("{}: tile {}", slide.first_part().id, number),
                     {source.jpeg_tables, source.photometric}, tile);
  return tile;
}

image::Image lay_out_tiles(const WholeBag& slide, int threads) {
  const store::Bag& bag = slide.first_part();
  const double zoom =
      std::min(1 / bag.downsample, static_cast<double>(kLongestPicture) /
                                       static_cast<double>(std::max(bag.width, bag.height)));
  const auto scaled = [&](double length) {
    return std::max<int64_t>(1, static_cast<int64_t>(std::llround(length * zoom)));
  };
  image::Image picture(scaled(static_cast<double>(bag.width)),
                       scaled(static_cast<double>(bag.height)), 3);
  std::fill(picture.pixels.begin(), picture.pixels.end(), uint8_t{255});
  const int64_t side =
      scaled(static_cast<double>(slide.store().settings().tile_size) * bag.downsample);
  const int64_t turn = kTilesATurn * threads;
  for (int64_t first = 0; first < slide.num_tiles(); first += turn) {
    std::vector<image::Image> small(std::min(turn, slide.num_tiles() - first));
    parallel_for(static_cast<int64_t>(small.size()), threads, [&](int64_t i) {
      small[i] = image::resize(read_tile(slide, first + i), side, side);
    });
    for (size_t i = 0; i < small.size(); ++i) {
      const store::Tile& tile = slide.tile(first + static_cast<int64_t>(i));
      image::paste(small[i], std::llround(tile.x * zoom), std::llround(tile.y * zoom), picture);
    }
  }
  return picture;
}

}  // namespace dbps::data

#include "data/tile_reader.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "image/tile.h"

namespace dbps::data {

TileReader::TileReader(std::vector<WholeBag> bags, std::vector<Cut> cuts,
                       const LoaderOptions& options)
    : bags_(std::move(bags)),
      cuts_(std::move(cuts)),
      offsets_{0},
      channels_(options.channels),
      tile_size_(options.data.patch_size),
      pin_memory_(options.pin_memory) {
  for (const Cut& cut : cuts_) {
    offsets_.push_back(offsets_.back() + static_cast<int64_t>(cut.bag.index.size()));
    if (cut.jitter_per != JitterPer::kPatch) continue;
    grey_of_tiles_ =
        grey_of_tiles_ || std::any_of(cut.jitter.begin(), cut.jitter.end(),
                                      [&](const Jitter& jitter) { return measures_grey(jitter); });
  }
}

bool TileReader::measures_grey(const Jitter& jitter) const {
  return jitter.changes(kContrast, channels_);
}

Tiles TileReader::make_room(size_t n) const {
  const auto host = at::TensorOptions().dtype(at::kByte).pinned_memory(pin_memory_);
  Tiles tiles;
  tiles.pixels = at::empty({static_cast<int64_t>(n), channels_, tile_size_, tile_size_}, host);
  if (grey_of_tiles_) tiles.mean_grey.resize(n);
  return tiles;
}

int64_t TileReader::tile_bytes() const { return channels_ * tile_size_ * tile_size_; }

TileReader::Row TileReader::row(int64_t row) const {
  DBPS_CHECK(row >= 0 && row < offsets_.back(), "a tile that the batch does not hold");
  const auto above = std::upper_bound(offsets_.begin(), offsets_.end(), row);
  const auto bag = static_cast<size_t>(above - offsets_.begin()) - 1;
  const int64_t number = cuts_[bag].bag.index[row - offsets_[bag]];
  return {bag, number, bags_[bag].place(number)};
}

image::Image TileReader::make_tile() const {
  image::Image tile;
  tile.width = tile.height = tile_size_;
  tile.channels = channels_;
  return tile;
}

void TileReader::decode(std::span<const uint8_t> bytes, const Row& row, image::Image& tile) const {
  const WholeBag& bag = bags_[row.bag];
  const store::Source& source = bag.store().source(row.place.bag);
  image::decode_tile(bytes, fmt::format("{}: tile {}", bag.first_part().id, row.number),
                     {source.jpeg_tables, source.photometric}, tile);
}

int64_t TileReader::read(std::span<const int64_t> rows, size_t first, Tiles& tiles,
                         std::vector<uint8_t>& buffer) const {
  std::vector<Row> wanted;
  for (const int64_t one : rows) wanted.push_back(row(one));
  uint8_t* pixels = tiles.pixels.data_ptr<uint8_t>() + static_cast<int64_t>(first) * tile_bytes();
  const Window whole = {0, 0, tile_size_, tile_size_};
  image::Image tile = make_tile();
  int64_t bytes_read = 0;
  std::vector<store::TilePlace> places;
  for (size_t begin = 0; begin < wanted.size(); begin += places.size()) {
    const store::Reader& store = bags_[wanted[begin].bag].store();
    places.clear();
    for (size_t i = begin; i < wanted.size() && &bags_[wanted[i].bag].store() == &store; ++i) {
      places.push_back(wanted[i].place);
    }
    store.read_tiles(places, buffer, [&](size_t i, std::span<const uint8_t> bytes) {
      const size_t at = begin + i;
      const Cut& cut = cuts_[wanted[at].bag];
      decode(bytes, wanted[at], tile);
      std::array<int32_t, 4> inside;
      cut_patch(tile, cut.placement, whole, pixels + static_cast<int64_t>(at) * tile_bytes(),
                inside.data());
      bytes_read += static_cast<int64_t>(bytes.size());
      if (tiles.mean_grey.empty()) return;
      const Jitter& jitter = cut.jitter[rows[at] - offsets_[wanted[at].bag]];
      if (measures_grey(jitter)) tiles.mean_grey[first + at] = data::mean_grey(jitter, tile, whole);
    });
  }
  return bytes_read;
}

std::vector<double> TileReader::greys(size_t bag, const Jitter& jitter,
                                      std::pair<int64_t, int64_t> part,
                                      std::vector<uint8_t>& buffer) const {
  const int64_t n = offsets_[bag + 1] - offsets_[bag];
  if (n == 0 || !measures_grey(jitter)) return {};
  const int64_t sample = std::min(n, kGreySample);
  std::vector<double> greys(static_cast<size_t>(sample), 0.0);
  std::vector<Row> rows;
  std::vector<store::TilePlace> places;
  std::vector<int64_t> numbers;  // in the sample
  for (int64_t i = 0; i < sample; ++i) {
    const int64_t tile = i * n / sample;
    if (tile < part.first || tile >= part.second) continue;
    rows.push_back(row(offsets_[bag] + tile));
    places.push_back(rows.back().place);
    numbers.push_back(i);
  }
  image::Image tile = make_tile();
  bags_[bag].store().read_tiles(places, buffer, [&](size_t i, std::span<const uint8_t> bytes) {
    decode(bytes, rows[i], tile);
    greys[numbers[i]] = data::mean_grey(jitter, tile, {0, 0, tile_size_, tile_size_});
  });
  return greys;
}

}  // namespace dbps::data

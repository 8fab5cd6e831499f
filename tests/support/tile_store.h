// Stores of slides' tiles for tests and measurements, made up: smooth colours, and in slides of the
// class "tumour" a dark disc in some tiles.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "image/codec.h"
#include "image/image.h"
#include "store/writer.h"

namespace dbps::data {

struct MadeSlide {
  std::string id;
  int64_t tiles = 0;
  bool tumour = false;
  std::string split = "train";
  int64_t parts = 1;
};

struct MadeTiles {
  int64_t tile_size = 32;
  store::Codec codec = store::Codec::kPng;
  double lesion_share = 0.1;  // of a tumour's tiles; one at least
  int64_t pool = 0;           // tiles are drawn from so many; 0: each is painted anew
  uint64_t shard_bytes = 4'000'000'000;
  int64_t columns = 7;  // of the grid on the slide
  double downsample = 2;
};

inline image::Image painted_tile(int64_t size, bool lesion, uint64_t seed) {
  RandomStream random(seed, Purpose::kDemo, 1);
  image::Image tile(size, size, 3);
  double phase[3][3];
  for (auto& channel : phase) {
    for (double& value : channel) value = random.uniform(0, 6);
  }
  const auto side = static_cast<double>(size);
  const double centre_x = random.uniform(0.3, 0.7) * side;
  const double centre_y = random.uniform(0.3, 0.7) * side;
  for (int64_t y = 0; y < size; ++y) {
    for (int64_t x = 0; x < size; ++x) {
      const double u = static_cast<double>(x) / side, v = static_cast<double>(y) / side;
      const bool dark = lesion && std::hypot(static_cast<double>(x) - centre_x,
                                             static_cast<double>(y) - centre_y) < 0.25 * side;
      for (int c = 0; c < 3; ++c) {
        const double wave = std::sin(9 * u + phase[c][0]) + std::sin(7 * v + phase[c][1]) +
                            std::sin(23 * u * v + phase[c][2]);
        const double value = dark ? 40.0 : 190 + 18 * wave + random.uniform(-6, 6);
        tile.row(y)[3 * x + c] = static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
      }
    }
  }
  return tile;
}

inline bool is_lesion(const MadeSlide& slide, const MadeTiles& how, int64_t tile) {
  const auto count =
      std::max<int64_t>(1, std::llround(how.lesion_share * static_cast<double>(slide.tiles)));
  return slide.tumour && tile * count / slide.tiles != (tile + 1) * count / slide.tiles;
}

// The picture of a slide's tile.
inline image::Image made_tile(size_t slide, const MadeSlide& which, const MadeTiles& how,
                              int64_t tile) {
  const uint64_t number = static_cast<uint64_t>(tile) + (static_cast<uint64_t>(slide) << 32);
  const uint64_t seed = how.pool > 0 ? number % static_cast<uint64_t>(how.pool) : number;
  return painted_tile(how.tile_size, is_lesion(which, how, tile), seed);
}

// With labels.csv: id,label,split.
inline void make_tile_store(const std::filesystem::path& folder,
                            const std::vector<MadeSlide>& slides, const MadeTiles& how = {}) {
  store::WriterOptions options;
  options.settings.kind = store::Kind::kTiles;
  options.settings.codec = how.codec;
  options.settings.quality = 80;
  options.settings.tile_size = how.tile_size;
  options.settings.mpp = 0.5;
  options.shard_bytes = how.shard_bytes;
  store::Writer writer(folder, options);
  std::map<std::pair<uint64_t, bool>, std::vector<uint8_t>> pool;
  const auto encode = [&](const image::Image& tile) {
    return how.codec == store::Codec::kJpeg ? image::encode_jpeg(tile, 80)
                                            : image::encode_png(tile, 1);
  };
  std::string labels = "id,label,split\n";
  for (size_t s = 0; s < slides.size(); ++s) {
    const MadeSlide& slide = slides[s];
    labels += slide.id + (slide.tumour ? ",tumour," : ",normal,") + slide.split + "\n";
    const auto step = static_cast<int32_t>(static_cast<double>(how.tile_size) * how.downsample);
    for (int64_t part = 0; part < slide.parts; ++part) {
      const int64_t first = part * slide.tiles / slide.parts;
      const int64_t last = (part + 1) * slide.tiles / slide.parts;
      std::vector<std::vector<uint8_t>> painted;
      std::vector<store::EncodedTile> tiles;
      painted.reserve(static_cast<size_t>(last - first));
      for (int64_t i = first; i < last; ++i) {
        store::EncodedTile tile;
        if (how.pool > 0) {
          const uint64_t number = static_cast<uint64_t>(i) + (static_cast<uint64_t>(s) << 32);
          auto& bytes = pool[{number % static_cast<uint64_t>(how.pool), is_lesion(slide, how, i)}];
          if (bytes.empty()) bytes = encode(made_tile(s, slide, how, i));
          tile.bytes = bytes;
        } else {
          painted.push_back(encode(made_tile(s, slide, how, i)));
          tile.bytes = painted.back();
        }
        tile.x = static_cast<int32_t>(i % how.columns) * step;
        tile.y = static_cast<int32_t>(i / how.columns) * step;
        tiles.push_back(tile);
      }
      store::Bag bag;
      bag.id = slide.id;
      bag.width = how.columns * step;
      bag.height = (slide.tiles / how.columns + 1) * step;
      bag.level = 1;
      bag.downsample = how.downsample;
      bag.mpp = 0.5;
      bag.part = static_cast<int32_t>(part);
      store::Source source;
      source.path = slide.id + ".tif";
      writer.append(bag, source, tiles);
    }
  }
  writer.finish();
  std::ofstream(folder / "labels.csv") << labels;
}

}  // namespace dbps::data

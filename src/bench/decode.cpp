// JPEG pictures decoded from memory as the loader decodes them, beside libjpeg-turbo alone.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"
#include "bench/benchmark.h"
#include "image/bare_jpeg.h"
#include "image/codec.h"
#include "image/tile.h"
#include "store/reader.h"

namespace dbps::bench {
namespace {

constexpr double kAsked = 0.95;
constexpr int64_t kPictures = 16;   // made, and decoded in one run
constexpr double kMegapixels = 17;  // of a store, likewise
constexpr int64_t kWidth = 1200;
constexpr int64_t kHeight = 900;
constexpr int kQuality = 85;

struct Encoded {
  std::string name;
  std::vector<uint8_t> bytes = {};
  double megapixels = 0;
  int64_t tile_size = 0;             // 0: no tile
  std::vector<uint8_t> tables = {};  // of a tile: image::TileForm's
  std::string photometric = {};

  image::TileForm form() const { return {tables, photometric}; }
};

// Both contenders decode tiles to the same place: where it lies in memory is worth a tenth.
thread_local image::Image tile;

// As the loader does, and TileReader.
void decode(const Encoded& picture) {
  if (picture.tile_size == 0) {
    image::decode(picture.bytes, picture.name);
    return;
  }
  tile.width = tile.height = picture.tile_size;
  image::decode_tile(picture.bytes, picture.name, picture.form(), tile);
}

void decode_bare(const Encoded& picture) {
  image::decode_jpeg_bare(picture.bytes, picture.name, picture.form(), tile.pixels);
}

std::vector<double> wave(int64_t count, double length, double strength, RandomStream& random) {
  const double pace = 6.283 / length * random.uniform(0.5, 1), phase = random.uniform(0, 6.283);
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = strength * std::sin(pace * static_cast<double>(i) + phase);
  }
  return values;
}

// Waves of many lengths and a little noise: about 2 bits a pixel, as photographs have.
std::vector<uint8_t> made_picture(int64_t number) {
  RandomStream random(0, Purpose::kDemo, 0, static_cast<uint64_t>(number));
  std::vector<std::vector<double>> across, down;  // of each wave
  for (double length = 400; length > 3; length /= 1.6) {
    const double strength = 6 * std::sqrt(std::sqrt(length));
    across.push_back(wave(kWidth, length, strength, random));
    down.push_back(wave(kHeight, length, 1, random));
  }
  image::Image picture(kWidth, kHeight, 3);
  for (int64_t y = 0; y < kHeight; ++y) {
    uint8_t* pixel = picture.row(y);
    for (int64_t x = 0; x < kWidth; ++x) {
      double value = 128 + random.uniform(-6, 6);
      for (size_t i = 0; i < across.size(); ++i) value += across[i][x] * down[i][y];
      for (int c = 0; c < 3; ++c, value += 12) {
        *pixel++ = static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
      }
    }
  }
  return image::encode_jpeg(picture, kQuality);
}

bool is_colour_jpeg(const image::Info& info) {
  return info.format == image::Format::kJpeg && info.mode == image::Mode::kRgb;
}

std::vector<Encoded> pictures_of(const Settings& settings) {
  std::vector<Encoded> pictures;
  double megapixels = 0;
  const auto add = [&](Encoded picture) {
    const image::Info info = image::probe(picture.bytes, picture.name);
    if (!is_colour_jpeg(info)) return;
    picture.megapixels = static_cast<double>(info.width) * static_cast<double>(info.height) / 1e6;
    megapixels += picture.megapixels;
    pictures.push_back(std::move(picture));
  };
  if (settings.store.empty()) {
    for (int64_t i = 0; i < kPictures; ++i) {
      add({.name = fmt::format("made {}", i), .bytes = made_picture(i)});
    }
    return pictures;
  }
  const store::Reader reader(settings.store);
  if (reader.settings().kind == store::Kind::kFeatures) {
    throw ConfigError(fmt::format("{} is no store of pictures", settings.store));
  }
  for (int64_t bag = 0; bag < reader.num_bags() && megapixels < kMegapixels; ++bag) {
    const store::Source& source = reader.source(bag);
    for (int64_t i = 0; i < reader.bag(bag).tile_count && megapixels < kMegapixels; ++i) {
      add({.name = reader.bag(bag).id,
           .bytes = reader.read(bag, i),
           .tile_size = reader.settings().tile_size,
           .tables = source.jpeg_tables,
           .photometric = source.photometric});
    }
  }
  if (pictures.empty()) {
    throw ConfigError(fmt::format("{} holds no colour JPEG", settings.store));
  }
  return pictures;
}

}  // namespace

Report run_decode(const Settings& settings) {
  const std::vector<Encoded> pictures = pictures_of(settings);
  double megapixels = 0, megabytes = 0;
  for (const Encoded& picture : pictures) {
    megapixels += picture.megapixels;
    megabytes += static_cast<double>(picture.bytes.size()) / 1e6;
  }
  Report report;
  report.of = fmt::format("{} pictures of {:.2f} megapixels and {:.2f} MB on average",
                          pictures.size(), megapixels / static_cast<double>(pictures.size()),
                          megabytes / static_cast<double>(pictures.size()));
  const auto contender = [&](const char* name, int threads, auto decode) {
    Contender made{name, nullptr, nullptr};
    made.run = [&pictures, megapixels, threads, decode] {
      parallel_for(std::ssize(pictures), threads, [&](int64_t i) { decode(pictures[i]); });
      return megapixels;
    };
    return made;
  };
  for (const int threads : thread_counts(settings)) {
    report.comparisons.push_back(
        compare(threads_name(threads), "megapixels/s", contender("decode", threads, decode),
                {{contender("libjpeg-turbo", threads, decode_bare), kAsked}}, pacing_of(settings)));
  }
  return report;
}

}  // namespace dbps::bench

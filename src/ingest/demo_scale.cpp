#include "ingest/demo_scale.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "image/codec.h"
#include "ingest/demo_tissue.h"
#include "store/manifest.h"
#include "store/shard.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

// Streams of Purpose::kDemo, beside those of the other demos.
constexpr uint64_t kScaleStream = 60;  // sample: the slide
constexpr uint64_t kPoolStream = 61;   // sample: the tile

constexpr int64_t kTileSize = 256;
constexpr double kMpp = 0.5;
constexpr int64_t kShardTiles = 1'000'000;

void check(const DemoScaleOptions& options) {
  const int64_t slides = int64_t{options.train} + options.validation + options.test;
  if (options.train < 0 || options.validation < 0 || options.test < 0 || slides < 1) {
    throw ConfigError("make-demo --scale: give one slide at least, and no negative number");
  }
  if (options.tiles_min < 1 || options.tiles_max < options.tiles_min ||
      options.tiles_max > 10'000'000) {
    throw ConfigError(fmt::format("--tiles {} {}: give the least and the most, 1 .. 10000000",
                                  options.tiles_min, options.tiles_max));
  }
  if (options.pool < 1 || options.pool > 1'000'000) {
    throw ConfigError(fmt::format("--pool {} lies outside 1 .. 1000000", options.pool));
  }
}

store::Settings settings_of_scale() {
  store::Settings settings;
  settings.kind = store::Kind::kTiles;
  settings.codec = store::Codec::kJpeg;
  settings.quality = 80;
  settings.tile_size = kTileSize;
  settings.mpp = kMpp;
  return settings;
}

// Tissue of one kind in the stain of one scanner.
std::vector<uint8_t> paint_tile(const DemoScaleOptions& options, int number,
                                const std::array<Pattern, kNumTissues>& patterns) {
  RandomStream random(options.seed, Purpose::kDemo, kPoolStream, static_cast<uint64_t>(number));
  const Pattern& pattern = patterns[random.below(4)];
  const Stain stain(options.seed, static_cast<uint64_t>(number % 8));
  const int64_t left = random.below(kPatternSide), top = random.below(kPatternSide);
  image::Image tile(kTileSize, kTileSize, 3);
  for (int64_t y = 0; y < kTileSize; ++y) {
    const Dyes* row = pattern.data() + (top + y) % kPatternSide * kPatternSide;
    for (int64_t x = 0; x < kTileSize; ++x) {
      stain.paint(row[(left + x) % kPatternSide], tile.row(y) + 3 * x);
    }
  }
  return image::encode_jpeg(tile, settings_of_scale().quality);
}

// The tiles that all slides share, end to end, as a shard's blob holds them.
struct Pool {
  std::vector<uint8_t> blob;
  std::vector<store::Tile> tiles;
};

Pool make_pool(const DemoScaleOptions& options) {
  const auto patterns = make_patterns(options.seed);
  Pool pool;
  for (int i = 0; i < options.pool; ++i) {
    const std::vector<uint8_t> bytes = paint_tile(options, i, patterns);
    store::Tile tile;
    tile.offset = pool.blob.size();
    tile.bytes = static_cast<uint32_t>(bytes.size());
    tile.crc32c = crc32c(bytes.data(), bytes.size());
    pool.blob.insert(pool.blob.end(), bytes.begin(), bytes.end());
    pool.tiles.push_back(tile);
  }
  return pool;
}

struct Slide {
  std::string id;
  const char* label;
  const char* split;
  int64_t tiles;
};

std::vector<Slide> list_slides(const DemoScaleOptions& options) {
  std::vector<Slide> slides;
  const std::pair<const char*, int> splits[] = {
      {"train", options.train}, {"validation", options.validation}, {"test", options.test}};
  for (const auto& [split, count] : splits) {
    for (int i = 0; i < count; ++i) {
      const auto index = static_cast<int64_t>(slides.size());
      slides.push_back({fmt::format("slide-{:06}", index), index % 2 == 1 ? "tumor" : "normal",
                        split, demo_scale_tiles(options, index)});
    }
  }
  return slides;
}

// The last slides of each shard's, exclusive.
std::vector<size_t> shard_ends(const std::vector<Slide>& slides) {
  std::vector<size_t> ends;
  int64_t tiles = 0;
  for (size_t i = 0; i < slides.size(); ++i) {
    if (tiles > 0 && tiles + slides[i].tiles > kShardTiles) {
      ends.push_back(i);
      tiles = 0;
    }
    tiles += slides[i].tiles;
  }
  ends.push_back(slides.size());
  return ends;
}

void add_slide(const Slide& slide, size_t start, const Pool& pool, store::ShardTables& tables) {
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(slide.tiles))));
  store::Bag bag;
  bag.id = slide.id;
  bag.width = columns * kTileSize;
  bag.height = (slide.tiles + columns - 1) / columns * kTileSize;
  bag.source = static_cast<uint32_t>(tables.sources.size());
  bag.first_tile = static_cast<int64_t>(tables.tiles.size());
  bag.tile_count = slide.tiles;
  bag.mpp = kMpp;
  for (int64_t i = 0; i < slide.tiles; ++i) {
    store::Tile tile = pool.tiles[(start + static_cast<size_t>(i)) % pool.tiles.size()];
    tile.source = bag.source;
    tile.x = static_cast<int32_t>(i % columns * kTileSize);
    tile.y = static_cast<int32_t>(i / columns * kTileSize);
    tables.tiles.push_back(tile);
  }
  store::Source source;
  source.path = slide.id + ".tif";
  tables.sources.push_back(std::move(source));
  tables.bags.push_back(std::move(bag));
}

void write_blob(int descriptor, uint64_t offset, const Pool& pool, const fs::path& path) {
  if (::lseek(descriptor, static_cast<off_t>(offset), SEEK_SET) < 0) {
    throw RuntimeFault(errno_message(fmt::format("cannot write {}", path.string())));
  }
  write_exactly(descriptor, pool.blob.data(), pool.blob.size(), path);
}

std::string labels_text(const std::vector<Slide>& slides) {
  std::string text = csv_line({"id", "label", "split"});
  for (const Slide& slide : slides) text += csv_line({slide.id, slide.label, slide.split});
  return text;
}

}  // namespace

int64_t demo_scale_tiles(const DemoScaleOptions& options, int64_t index) {
  RandomStream random(options.seed, Purpose::kDemo, kScaleStream, static_cast<uint64_t>(index));
  return std::llround(std::exp(random.uniform(std::log(static_cast<double>(options.tiles_min)),
                                              std::log(static_cast<double>(options.tiles_max)))));
}

DemoScale make_demo_scale(const DemoScaleOptions& options, const fs::path& store,
                          const MakingProgress& progress) {
  check(options);
  const std::vector<Slide> slides = list_slides(options);
  const std::vector<size_t> ends = shard_ends(slides);
  const Pool pool = make_pool(options);
  store::Manifest manifest{settings_of_scale(), {}, "", ""};
  store::Fingerprint fingerprint;
  DemoScale made;
  made.slides = static_cast<int64_t>(slides.size());
  const auto make = [&](int64_t number, const fs::path& where) {
    store::ShardTables tables;
    for (size_t i = number == 0 ? 0 : ends[number - 1]; i < ends[number]; ++i) {
      add_slide(slides[i], i * 37, pool, tables);
      const auto tiles =
          std::span<const store::Tile>(tables.tiles).subspan(tables.bags.back().first_tile);
      fingerprint.add(slides[i].id, {tiles});
      for (const store::Tile& tile : tiles) made.tile_bytes += tile.bytes;
    }
    const fs::path path = where / store::shard_file_name(number);
    store::write_shard(
        path, manifest.settings, tables, pool.blob.size(),
        [&](int descriptor, uint64_t offset) { write_blob(descriptor, offset, pool, path); });
    made.tiles += static_cast<int64_t>(tables.tiles.size());
    tables = {};
    manifest.shards.push_back(store::describe_shard(path, store::read_shard(path)));
    made.stored_bytes += manifest.shards.back().bytes;
  };
  make_folder(store, static_cast<int64_t>(ends.size()), /*jobs=*/1, make, progress,
              [&](const fs::path& where) {
                write_file_atomic(where / "labels.csv", labels_text(slides));
                manifest.fingerprint = fingerprint.text();
                store::write_manifest(where, manifest);
              });
  return made;
}

}  // namespace dbps::ingest

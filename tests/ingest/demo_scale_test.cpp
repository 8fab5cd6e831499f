#include "ingest/demo_scale.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "base/csv.h"
#include "base/error.h"
#include "image/codec.h"
#include "store/manifest.h"
#include "store/reader.h"
#include "store/verify.h"
#include "store/writer.h"
#include "support/temp_folder.h"

namespace dbps::ingest {
namespace {

using ::testing::HasSubstr;

DemoScaleOptions small() {
  DemoScaleOptions options;
  options.train = 4;
  options.validation = 1;
  options.test = 3;
  options.tiles_min = 20;
  options.tiles_max = 300;
  options.pool = 7;
  return options;
}

TEST(DemoScale, HasTheSlidesAndTilesThatWereAskedFor) {
  const TempFolder folder;
  const DemoScale made = make_demo_scale(small(), folder.path() / "store");
  const store::Reader reader(folder.path() / "store");
  ASSERT_EQ(reader.num_bags(), 8);
  EXPECT_EQ(made.slides, 8);
  int64_t tiles = 0;
  std::set<int64_t> counts;
  uint64_t bytes = 0;
  std::set<uint64_t> places;
  for (int64_t bag = 0; bag < 8; ++bag) {
    const int64_t count = reader.bag(bag).tile_count;
    EXPECT_GE(count, 20);
    EXPECT_LE(count, 300);
    EXPECT_EQ(count, demo_scale_tiles(small(), bag));
    counts.insert(count);
    std::set<std::pair<int32_t, int32_t>> corners;
    for (int64_t i = 0; i < count; ++i) {
      const store::Tile tile = reader.tile(bag, i);
      corners.insert({tile.x, tile.y});
      EXPECT_LE(tile.x + 256, reader.bag(bag).width);
      EXPECT_LE(tile.y + 256, reader.bag(bag).height);
      places.insert(tile.offset);
      bytes += tile.bytes;
    }
    EXPECT_EQ(static_cast<int64_t>(corners.size()), count) << "two tiles at one place";
    tiles += count;
  }
  EXPECT_EQ(made.tiles, tiles);
  EXPECT_EQ(made.tile_bytes, bytes);
  EXPECT_EQ(places.size(), 7U) << "the slides share the pool";
  EXPECT_GT(counts.size(), 4U);
  EXPECT_LT(made.stored_bytes, bytes / 2);

  const CsvTable labels = read_csv(folder.path() / "store" / "labels.csv");
  int train = 0;
  for (const CsvRow& row : labels.rows) train += row.fields[2] == "train";
  EXPECT_EQ(labels.rows.size(), 8U);
  EXPECT_EQ(train, 4);
}

TEST(DemoScale, IsTheStoreThatAWriterMakesOfTheSameTiles) {
  const TempFolder folder;
  make_demo_scale(small(), folder.path() / "store");
  const store::Reader reader(folder.path() / "store");
  store::WriterOptions options;
  options.settings = reader.settings();
  store::Writer writer(folder.path() / "copy", options);
  for (int64_t bag = 0; bag < reader.num_bags(); ++bag) {
    std::vector<std::vector<uint8_t>> bytes;
    std::vector<store::EncodedTile> tiles;
    for (int64_t i = 0; i < reader.bag(bag).tile_count; ++i) {
      bytes.push_back(reader.read(bag, i));
      EXPECT_EQ(image::decode(bytes.back(), "tile").width, 256);
    }
    for (int64_t i = 0; i < reader.bag(bag).tile_count; ++i) {
      tiles.push_back({bytes[i], reader.tile(bag, i).x, reader.tile(bag, i).y});
    }
    writer.append(reader.bag(bag), reader.source(bag), tiles);
  }
  writer.finish();
  EXPECT_EQ(store::Reader(folder.path() / "copy").fingerprint(), reader.fingerprint());
}

TEST(DemoScale, VerifyNamesEverySlideThatADamagedTileIsOf) {
  const TempFolder folder;
  const std::filesystem::path store = folder.path() / "store";
  make_demo_scale(small(), store);
  const store::Verification whole = store::verify(store, 1);
  EXPECT_TRUE(whole.damages.empty());
  EXPECT_EQ(whole.bags, 8);
  const store::ShardEntry shard = store::read_manifest(store).shards.front();
  {
    std::fstream file(store / shard.name, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(shard.blob_offset + 40));
    file.put('\x5a');
  }
  // Every slide is longer than the pool, so all hold its first tile.
  EXPECT_EQ(store::verify(store, 1).damages.size(), 8U);
}

TEST(DemoScale, RefusesWhatMakesNoStore) {
  const TempFolder folder;
  DemoScaleOptions none = small();
  none.train = none.validation = none.test = 0;
  EXPECT_THROW(make_demo_scale(none, folder.path() / "a"), ConfigError);
  DemoScaleOptions upside_down = small();
  upside_down.tiles_min = 400;
  try {
    make_demo_scale(upside_down, folder.path() / "b");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--tiles 400 300"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace dbps::ingest

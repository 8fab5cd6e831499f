// Demo slides, and slides into a store: restarted, shared among processes, repaired.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "image/codec.h"
#include "image/slide.h"
#include "ingest/demo_slides.h"
#include "ingest/ingest.h"
#include "ingest/labels.h"
#include "store/reader.h"
#include "support/temp_folder.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

DemoSlideOptions small() {
  DemoSlideOptions options;
  options.canvas = 1536;
  options.train = 4;
  options.validation = 0;
  options.test = 2;
  return options;
}

class SlidesTest : public testing::Test {
 protected:
  // Made once: it takes a second.
  static void SetUpTestSuite() {
    made_ = new TempFolder;
    make_demo_slides(small(), made_->path() / "demo", 2);
  }
  static void TearDownTestSuite() { delete made_; }

  static fs::path slides() { return made_->path() / "demo" / "slides"; }

  static IngestOptions tiles() {
    IngestOptions options;
    options.kind = store::Kind::kTiles;
    options.jobs = 2;
    return options;
  }
  SourceList sources() const { return find_sources(slides(), store::Kind::kTiles); }
  // The same ingest by several processes.
  Summary ingest_on(int num_ranks, const SourceList& list) const {
    std::vector<std::unique_ptr<Ingestion>> ranks;
    std::vector<std::string> present, parts;
    for (int rank = 0; rank < num_ranks; ++rank) {
      ranks.push_back(
          std::make_unique<Ingestion>(list, store_, tiles(), ProgressCallback{}, rank, num_ranks));
      present.push_back(ranks.back()->present());
    }
    for (const auto& rank : ranks) {
      rank->make(present);
      parts.push_back(rank->part());
    }
    return ranks[0]->finish(parts);
  }
  std::string fingerprint() const { return store::Reader(store_).fingerprint(); }

  static TempFolder* made_;
  TempFolder temp_;
  fs::path store_ = temp_.path() / "store";
};

TempFolder* SlidesTest::made_ = nullptr;

TEST_F(SlidesTest, TheDemoDependsOnItsSeedAlone) {
  DemoSlideOptions options = small();
  options.train = 2;
  make_demo_slides(options, temp_.path() / "one", 1);
  EXPECT_EQ(read_file(temp_.path() / "one/slides/slide-001.tif"),
            read_file(slides() / "slide-001.tif"));
  options.seed = 1;
  make_demo_slides(options, temp_.path() / "other", 2);
  EXPECT_NE(read_file(temp_.path() / "other/slides/slide-001.tif"),
            read_file(slides() / "slide-001.tif"));
  options.train = 3;
  EXPECT_THROW(make_demo_slides(options, temp_.path() / "odd", 1), ConfigError);
  options.train = 2;
  options.canvas = 1000;
  EXPECT_THROW(make_demo_slides(options, temp_.path() / "tiny", 1), ConfigError);
}

TEST_F(SlidesTest, OneSlideOfAPairHasLesionsInItsTissue) {
  const CsvTable labels = read_csv(made_->path() / "demo" / "labels.csv");
  const CsvTable lesions = read_csv(made_->path() / "demo" / "lesions.csv");
  std::set<std::string> ill, with_lesions;
  std::map<std::string, std::set<std::string>> of_patient;
  for (const CsvRow& row : labels.rows) {
    if (row.fields[1] == "tumor") ill.insert(row.fields[0]);
    of_patient[row.fields[3]].insert(row.fields[1] + " " + row.fields[2]);
  }
  for (const CsvRow& row : lesions.rows) with_lesions.insert(row.fields[0]);
  EXPECT_EQ(ill, with_lesions);
  EXPECT_EQ(ill.size(), 3u);
  EXPECT_EQ(of_patient.size(), 3u);
  for (const auto& [patient, kinds] : of_patient) {
    const std::string split = patient == "p002" ? "test" : "train";
    EXPECT_THAT(kinds, ElementsAre("normal " + split, "tumor " + split));
  }
}

// Whether the ellipse reaches the tile: its point next to the centre, on axes that make a circle.
bool touches(const Lesion& lesion, int64_t column, int64_t row) {
  const auto away = [](int64_t first, int64_t size, int64_t tile) {
    const double half = static_cast<double>(size) / 2;
    const double centre = static_cast<double>(first) + half;
    const double nearest = std::clamp(centre, 256.0 * tile, 256.0 * (tile + 1));
    return (nearest - centre) / half;
  };
  return std::hypot(away(lesion.x, lesion.width, column), away(lesion.y, lesion.height, row)) < 1;
}

// At the size that is made when none is asked for; no pixel is drawn.
TEST_F(SlidesTest, LesionsTouchAFiftiethOfTheTilesAtMost) {
  const DemoSlideOptions options;
  int64_t slides_with_lesions = 0;
  for (int64_t index = 0; index < 40; ++index) {
    std::set<std::pair<int64_t, int64_t>> touched;
    for (const Lesion& lesion : demo_lesions(options, index)) {
      for (int64_t y = lesion.y / 256; y <= (lesion.y + lesion.height) / 256; ++y) {
        for (int64_t x = lesion.x / 256; x <= (lesion.x + lesion.width) / 256; ++x) {
          if (touches(lesion, x, y)) touched.emplace(x, y);
        }
      }
    }
    EXPECT_EQ(touched.empty(), index % 2 == 0);
    EXPECT_LE(touched.size(), 25u);  // of 1,260 tiles of tissue and more
    EXPECT_TRUE(touched.empty() || touched.size() >= 12) << "the ten best could not all touch one";
    slides_with_lesions += !touched.empty();
  }
  EXPECT_EQ(slides_with_lesions, 20);
}

TEST_F(SlidesTest, PartsOfManyProcessesMakeTheStoreOfOne) {
  const SourceList list = sources();
  ingest(list, store_, tiles());
  const std::string alone = fingerprint();
  fs::remove_all(store_);

  const Summary summary = ingest_on(3, list);
  EXPECT_EQ(summary.kept, 6);
  EXPECT_EQ(summary.labels_added, 6);
  EXPECT_EQ(fingerprint(), alone);
  EXPECT_EQ(store::Reader(store_).num_shards(), 3);
  EXPECT_EQ(read_csv(store_ / "slides.csv").rows.size(), 6u);
}

// Another number of processes goes on, and none makes what another one has.
TEST_F(SlidesTest, WhatAKilledProcessLeftIsTakenUpByOthers) {
  const SourceList list = sources();
  ingest(list, temp_.path() / "whole", tiles());
  for (int rank = 0; rank < 2; ++rank) {
    // Never finished, as if all had been killed then.
    Ingestion killed(list, store_, tiles(), {}, rank, 2);
    killed.make({});
  }
  const Summary summary = ingest_on(3, list);
  EXPECT_EQ(summary.kept, 0);
  EXPECT_EQ(summary.skipped, 6);
  EXPECT_EQ(fingerprint(), store::Reader(temp_.path() / "whole").fingerprint());
}

TEST_F(SlidesTest, ADamagedShardIsMadeAgainByOneProcess) {
  const SourceList list = sources();
  ingest(list, store_, tiles());
  const std::string whole = fingerprint();
  {
    std::fstream shard(store_ / "shard-00000.h5", std::ios::in | std::ios::out | std::ios::binary);
    shard.seekp(200000);
    shard.write("damage", 6);
  }
  const Summary summary = ingest_on(2, list);
  EXPECT_EQ(summary.kept, 1);
  EXPECT_EQ(summary.skipped, 5);
  EXPECT_EQ(fingerprint(), whole);
}

TEST_F(SlidesTest, OtherSettingsAreRefusedByName) {
  ingest(sources(), store_, tiles());
  IngestOptions options = tiles();
  options.tissue.foreground = 0.5;
  try {
    ingest(sources(), store_, options);
    FAIL() << "tiles of two rules in one store";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("foreground 0.25 (asked for: 0.5)"));
  }
}

TEST_F(SlidesTest, MppComesFromTheFileTheRowOrTheOption) {
  fs::create_directories(temp_.path() / "s");
  image::Image picture(600, 600, 3);
  for (size_t i = 0; i < picture.pixels.size(); ++i) {
    picture.pixels[i] = i / 3 % 600 < 300 ? (i % 3 == 1 ? 110 : 200) : 235;
  }
  write_file_atomic(temp_.path() / "s/a.png", image::encode_png(picture));
  write_file_atomic(temp_.path() / "s/b.png", image::encode_png(picture));
  SourceList list = find_sources(temp_.path() / "s", store::Kind::kTiles);
  Summary summary = ingest(list, store_, tiles());
  ASSERT_EQ(summary.failed.size(), 2u);
  EXPECT_THAT(summary.failed[0].reason, HasSubstr("give a column mpp in the CSV, --slide-mpp"));
  EXPECT_FALSE(fs::exists(store_ / "store.json"));

  add_columns(list, parse_csv("id,mpp\na,0.4\nb,\n", "l.csv"));
  summary = ingest(list, store_, tiles());
  EXPECT_EQ(summary.kept, 1);
  IngestOptions options = tiles();
  options.slide_mpp = 0.8;
  ingest(list, store_, options);
  const store::Reader reader(store_);
  ASSERT_EQ(reader.num_bags(), 2);
  EXPECT_EQ(reader.bag(0).mpp, 0.4);
  EXPECT_EQ(reader.bag(1).mpp, 0.8);
  EXPECT_EQ(reader.settings().tile_size, 256);
  EXPECT_EQ(reader.bag(0).tile_count, 2);  // of 2 x 2 that lie in it wholly
}

}  // namespace
}  // namespace dbps::ingest

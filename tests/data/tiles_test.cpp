// Slides as tiles: what a batch of them hands out, and what it reads.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <set>
#include <string>

#include "base/error.h"
#include "data/grid.h"
#include "data/load_all.h"
#include "data/tile_stream.h"
#include "support/temp_folder.h"
#include "support/tile_store.h"

namespace dbps::data {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kTile = 32;
const std::vector<MadeSlide> kSlides = {
    {"a", 40, true}, {"b", 61, false, "train", 3}, {"c", 1, true}, {"d", 200, false}};

// (C, t, t) uint8, as it was painted.
at::Tensor painted(size_t slide, int64_t tile) {
  image::Image picture = made_tile(slide, kSlides[slide], {}, tile);
  return at::from_blob(picture.pixels.data(), {kTile, kTile, 3}, at::kByte)
      .permute({2, 0, 1})
      .clone(at::MemoryFormat::Contiguous);
}

class TilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    make_tile_store(store_, kSlides);
    options_.data.store = {store_.string()};
    options_.data.fraction_validation = 0;
    options_.data.resize = Resize::kNone;
    options_.data.patch_size = kTile;
    options_.data.patch_stride = kTile;
    options_.augment.translate = 0;
    options_.salient = 5;
    options_.seed = 3;
    options_.decode_threads = 3;
    open();
  }

  void open() {
    dataset_ = std::make_unique<Dataset>(options_.data,
                                         std::vector<TaskColumn>{{"label", "", "multiclass", {}}});
  }

  HostBatch load(const std::vector<int64_t>& pictures) const {
    return std::move(load_all(*dataset_, options_, {pictures}).front());
  }

  static std::vector<int64_t> all_rows(const HostBatch& batch) {
    std::vector<int64_t> rows(static_cast<size_t>(batch.offsets.back()));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }

  // Of the tiles of these rows as they were painted.
  static at::Tensor painted_rows(const HostBatch& batch, const std::vector<int64_t>& rows) {
    std::vector<at::Tensor> tiles;
    for (const int64_t row : rows) {
      size_t bag = 0;
      while (batch.offsets[bag + 1] <= row) ++bag;
      tiles.push_back(painted(static_cast<size_t>(batch.bags[bag].picture),
                              batch.bags[bag].index[row - batch.offsets[bag]]));
    }
    return at::stack(tiles);
  }

  int64_t stored_bytes(const HostBatch& batch) const {
    int64_t bytes = 0;
    for (const HostBag& bag : batch.bags) {
      const WholeBag stored = dataset_->whole_bag(bag.picture);
      for (const int64_t index : bag.index) bytes += stored.tile(index).bytes;
    }
    return bytes;
  }

  TempFolder folder_;
  std::filesystem::path store_ = folder_.path() / "store";
  LoaderOptions options_;
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(TilesTest, ASlideInPartsIsOneBag) {
  EXPECT_EQ(dataset_->tile_size(), kTile);
  ASSERT_EQ(dataset_->pictures().size(), 4u);
  ASSERT_EQ(dataset_->store(0).num_bags(), 6);
  for (size_t i = 0; i < kSlides.size(); ++i) {
    const PatchCount count = count_patches(*dataset_, static_cast<int64_t>(i), options_);
    EXPECT_EQ(count.all, kSlides[i].tiles);
    EXPECT_EQ(dataset_->pictures()[i].id, kSlides[i].id);
  }
  EXPECT_EQ(dataset_->whole_bag(1).num_parts(), 3);
}

TEST_F(TilesTest, EvaluationHandsOutEveryTileAtItsPlace) {
  options_.training = false;
  const HostBatch batch = load({0, 1, 2});
  EXPECT_THAT(batch.offsets, ElementsAre(0, 40, 101, 102));
  const HostBag& bag = batch.bags[1];
  ASSERT_EQ(bag.index.size(), 61u);
  for (int64_t i = 0; i < 61; ++i) {
    EXPECT_EQ(bag.index[i], i);
    EXPECT_EQ(bag.x[i], static_cast<float>(i % 7 * 2 * kTile));
    EXPECT_EQ(bag.y[i], static_cast<float>(i / 7 * 2 * kTile));
  }
  EXPECT_EQ(bag.patch_width_source, 2 * kTile);
  const std::vector<int64_t> rows = all_rows(batch);
  EXPECT_TRUE(at::equal(batch.tiles->gather(rows).pixels, painted_rows(batch, rows)));
  const std::vector<int64_t> some = {101, 99, 0, 60, 41, 40};
  EXPECT_TRUE(at::equal(batch.tiles->gather(some).pixels, painted_rows(batch, some)));
  EXPECT_THAT(batch.tiles->gather({}).pixels.sizes(), ElementsAre(0, 3, kTile, kTile));
}

TEST_F(TilesTest, DroppedTilesAreNeverRead) {
  options_.drop.ratio = "0.5";
  const HostBatch batch = load({0, 1, 3});
  const int64_t kept = kept_patches("0.5", 200, 5);
  ASSERT_EQ(batch.bags[2].index.size(), static_cast<size_t>(kept));
  EXPECT_LT(kept, 110);
  EXPECT_EQ(batch.tiles->bytes_read(), 0);
  const std::vector<int64_t> rows = all_rows(batch);
  batch.tiles->gather(rows);
  EXPECT_EQ(batch.tiles->bytes_read(), stored_bytes(batch));
}

TEST_F(TilesTest, StepsReadAheadAreTheSameForAnyThreadsAndBound) {
  options_.training = false;
  for (const int threads : {1, 4}) {
    for (const int64_t bytes : {int64_t{0}, int64_t{1}, 40 * 3 * kTile * kTile}) {
      options_.decode_threads = threads;
      options_.host_bytes = bytes;
      const HostBatch batch = load({3, 1});
      std::vector<std::vector<int64_t>> steps;
      const std::vector<int64_t> rows = all_rows(batch);
      for (size_t first = 0; first < rows.size(); first += 20) {
        steps.emplace_back(rows.begin() + static_cast<int64_t>(first),
                           rows.begin() + static_cast<int64_t>(std::min(first + 20, rows.size())));
      }
      batch.tiles->expect(steps);
      for (const std::vector<int64_t>& step : steps) {
        ASSERT_TRUE(at::equal(batch.tiles->gather(step).pixels, painted_rows(batch, step)));
      }
      EXPECT_EQ(batch.tiles->bytes_read(), stored_bytes(batch));
      const int64_t step_bytes = 20 * 3 * kTile * kTile;
      const int64_t most = bytes == 0 ? 14 * step_bytes : std::max(bytes, step_bytes);
      EXPECT_LE(batch.tiles->peak_bytes(), most) << threads << " " << bytes;
      // What was not expected comes all the same, and an expectation may be given up.
      batch.tiles->expect(steps);
      EXPECT_TRUE(at::equal(batch.tiles->gather({7, 3}).pixels, painted_rows(batch, {7, 3})));
    }
  }
}

TEST_F(TilesTest, AllTilesOfASlideAreTurnedAlike) {
  options_.augment = {0, 0, 0, 0, JitterPer::kBag, 0, Flip::kBoth, true, Erase::kNone};
  std::set<std::string> ways;
  for (int64_t epoch = 0; epoch < 12; ++epoch) {
    options_.epoch = epoch;
    const HostBatch batch = load({0});
    const std::vector<int64_t> rows = all_rows(batch);
    const at::Tensor turned = batch.tiles->gather(rows).pixels;
    const at::Tensor plain = painted_rows(batch, rows);
    std::string found;
    for (int turns = 0; turns < 4; ++turns) {
      for (const bool flipped : {false, true}) {
        at::Tensor one = at::rot90(plain, turns, {2, 3});
        if (flipped) one = one.flip(3);
        if (at::equal(one, turned)) found = fmt::format("{} {}", turns, flipped);
      }
    }
    EXPECT_NE(found, "") << "epoch " << epoch;
    ways.insert(found);
  }
  EXPECT_GE(ways.size(), 3u);
}

// Contrast moves colours away from a grey: with one jitter a tile the tile's own mean, with one a
// slide the mean of sixteen tiles at even steps.
TEST_F(TilesTest, ContrastTurnsAboutTheMeanGreyOfTileOrSample) {
  options_.augment = {0, 0.5, 0, 0, JitterPer::kPatch, 0, Flip::kNone, false, Erase::kNone};
  const std::vector<double> zero(3, 0.0), one(3, 1.0);
  const at::Tensor weights = at::tensor({0.2989, 0.587, 0.114}, at::kDouble).view({1, 3, 1, 1});
  for (const JitterPer per : {JitterPer::kPatch, JitterPer::kBag}) {
    options_.augment.jitter_per = per;
    const HostBatch batch = load({1});
    const std::vector<int64_t> rows = all_rows(batch);
    const DevicePatches patches(batch, zero, one, at::kCPU, at::kDouble, 0);
    const at::Tensor plain = painted_rows(batch, rows).to(at::kDouble) / 255;
    at::Tensor grey = (plain * weights).sum(1, true).mean({2, 3}, true);
    ASSERT_EQ(batch.jitter.size(), per == JitterPer::kBag ? 1u : 61u);
    if (per == JitterPer::kBag) {
      double mean = 0;
      for (int64_t i = 0; i < 16; ++i) mean += grey[i * 61 / 16].item<double>() / 16;
      grey = at::full_like(grey, mean);
    }
    std::vector<double> factors;
    for (int64_t i = 0; i < 61; ++i) {
      factors.push_back(batch.jitter[per == JitterPer::kBag ? 0 : i].contrast);
    }
    const at::Tensor factor = at::tensor(factors, at::kDouble).view({-1, 1, 1, 1});
    const at::Tensor expected = (plain * factor + grey * (1 - factor)).clamp(0, 1);
    EXPECT_LT((patches.gather(rows) - expected).abs().max().item<double>(), 1e-6);
    EXPECT_GT((plain - expected).abs().max().item<double>(), 0.01);
  }
}

TEST_F(TilesTest, ASlideInNoDataSetIsThatOfEvaluation) {
  const HostBatch batch = tile_batch(dataset_->store(0), 1, options_);
  EXPECT_EQ(batch.bags[0].id, "b");
  options_.training = false;
  const HostBatch expected = load({1});
  EXPECT_TRUE(at::equal(batch.tiles->gather(all_rows(batch)).pixels,
                        expected.tiles->gather(all_rows(expected)).pixels));
}

TEST_F(TilesTest, TheFirstDamagedTileIsNamed) {
  const WholeBag slide = dataset_->whole_bag(3);
  const auto shard = store_ / dataset_->store(0).shard_name(slide.place(0).bag);
  for (const int64_t tile : {150, 90}) {
    const std::vector<uint8_t> bytes =
        dataset_->store(0).read(slide.place(tile).bag, slide.place(tile).tile);
    std::fstream file(shard, std::ios::in | std::ios::out | std::ios::binary);
    std::string content((std::istreambuf_iterator<char>(file)), {});
    const size_t at = content.find(std::string(bytes.begin(), bytes.end()));
    ASSERT_NE(at, std::string::npos);
    file.clear();
    file.seekp(static_cast<std::streamoff>(at + 60));
    file.put(static_cast<char>(bytes[60] ^ 1));
  }
  options_.augment.contrast = 0;  // else loading reads a sample for the mean grey
  const HostBatch batch = load({3});
  try {
    batch.tiles->gather(all_rows(batch));
    FAIL() << "nothing was thrown";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("tile 90 "), HasSubstr("'d'"), HasSubstr("checksum")));
  }
  EXPECT_NO_THROW(batch.tiles->gather({1, 2, 3}));
}

TEST_F(TilesTest, StoresOfOtherTilesDoNotMix) {
  MadeTiles other;
  other.tile_size = 16;
  make_tile_store(folder_.path() / "other", {{"e", 3, false}}, other);
  options_.data.store.push_back((folder_.path() / "other").string());
  try {
    open();
    FAIL() << "nothing was thrown";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("tiles of 32 pixels"), HasSubstr("tiles of 16")));
  }
}

}  // namespace
}  // namespace dbps::data

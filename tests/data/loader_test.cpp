#include "data/loader.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <thread>

#include "base/error.h"
#include "data/grid.h"
#include "data/load_all.h"
#include "image/resize.h"
#include "support/small_store.h"
#include "support/temp_folder.h"

namespace dbps::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() {
    options_.data.resize = Resize::kNone;
    options_.data.patch_size = 16;
    options_.data.fraction_validation = 0;
    options_.seed = 5;
    options_.salient = 2;
  }

  void open(NamedPictures pictures) {
    pictures_ = std::move(pictures);
    const auto folder = folder_.path() / "store";
    make_store(folder, pictures_);
    std::string labels = "id,label\n";
    for (size_t i = 0; i < pictures_.size(); ++i) {
      labels += pictures_[i].first + (i % 2 == 0 ? ",x\n" : ",y\n");
    }
    write_text(folder / "labels.csv", labels);
    options_.data.store = {folder.string()};
    dataset_ = std::make_unique<Dataset>(
        options_.data, std::vector<TaskColumn>{{"label", "", "multiclass", {"x", "y"}}});
  }

  std::vector<HostBatch> load(const std::vector<std::vector<int64_t>>& batches) const {
    return load_all(*dataset_, options_, batches);
  }

  void no_augmentation() { options_.augment = {0, 0, 0, 0, JitterPer::kBag, 0}; }

  TempFolder folder_;
  LoaderOptions options_;
  NamedPictures pictures_;
  std::unique_ptr<Dataset> dataset_;
};

// ---- An independent whole-picture augmentation, in doubles, pixel by pixel.

using Pixel = std::array<double, 3>;

double clamp(double value) { return std::min(1.0, std::max(0.0, value)); }
double grey(const Pixel& p) { return 0.2989 * p[0] + 0.587 * p[1] + 0.114 * p[2]; }

Pixel turn_hue(const Pixel& p, double turns) {
  const double high = std::max({p[0], p[1], p[2]}), low = std::min({p[0], p[1], p[2]});
  if (high == low) return p;
  const double s = (high - low) / high;
  double h = 0;
  if (high == p[0]) {
    h = (p[1] - p[2]) / (high - low);
  } else if (high == p[1]) {
    h = 2 + (p[2] - p[0]) / (high - low);
  } else {
    h = 4 + (p[0] - p[1]) / (high - low);
  }
  h = std::fmod(h / 6 + turns + 2, 1.0) * 6;
  const int sector = static_cast<int>(h) % 6;
  const double f = h - std::floor(h);
  const double a = high * (1 - s), b = high * (1 - s * f), c = high * (1 - s * (1 - f));
  const Pixel sectors[] = {{high, c, a}, {b, high, a}, {a, high, c},
                           {a, b, high}, {c, a, high}, {high, a, b}};
  return sectors[sector];
}

std::vector<Pixel> jitter_whole(const image::Image& picture, const Jitter& jitter) {
  std::vector<Pixel> pixels(static_cast<size_t>(picture.width * picture.height));
  for (size_t i = 0; i < pixels.size(); ++i) {
    for (size_t c = 0; c < 3; ++c) pixels[i][c] = picture.pixels[3 * i + c] / 255.0;
  }
  for (const int turn : jitter.order) {
    double mean = 0;
    for (const Pixel& pixel : pixels) mean += grey(pixel) / static_cast<double>(pixels.size());
    for (Pixel& p : pixels) {
      const double g = grey(p);
      for (double& value : p) {
        if (turn == 0) value = clamp(jitter.brightness * value);
        if (turn == 1) value = clamp(jitter.contrast * value + (1 - jitter.contrast) * mean);
        if (turn == 2) value = clamp(jitter.saturation * value + (1 - jitter.saturation) * g);
      }
      if (turn == 3) p = turn_hue(p, jitter.hue);
    }
  }
  return pixels;
}

TEST_F(LoaderTest, KeptPatchesAreThoseOfTheAugmentedWholePicture) {
  NamedPictures pictures;
  for (int i = 0; i < 8; ++i) {
    pictures.emplace_back(fmt::format("p{}", i), random_picture(70 + 5 * i, 50 + i, i));
  }
  open(pictures);
  options_.augment = {0.4, 0.4, 0.4, 0.3, JitterPer::kBag, 9};
  options_.data.edge = Edge::kPad;
  options_.drop.ratio = "0.3";
  std::set<int64_t> shifts;
  for (const HostBatch& batch : load({{0, 1, 2}, {3, 4, 5, 6, 7}})) {
    const DevicePatches patches(batch, {0, 0, 0}, {1, 1, 1}, at::kCPU, at::kDouble, 0);
    for (size_t b = 0; b < batch.bags.size(); ++b) {
      const HostBag& bag = batch.bags[b];
      const image::Image& picture = pictures_[bag.picture].second;
      const Grid grid = make_grid(options_.data, {picture.width, picture.height});
      const std::vector<Pixel> whole = jitter_whole(picture, batch.jitter[b]);
      ASSERT_EQ(bag.index.size(), static_cast<size_t>(kept_patches("0.3", grid.size(), 2)));
      for (size_t k = 0; k < bag.index.size(); ++k) {
        const int64_t row = batch.offsets[b] + static_cast<int64_t>(k);
        const int64_t x = grid.x[bag.index[k] % grid.columns];
        const int64_t y = grid.y[bag.index[k] / grid.columns];
        const auto shift_x = x - static_cast<int64_t>(bag.x[k]);
        const auto shift_y = y - static_cast<int64_t>(bag.y[k]);
        shifts.insert(shift_x);
        ASSERT_LE(std::max(std::abs(shift_x), std::abs(shift_y)), 9);
        const at::Tensor patch = patches.gather({row}).squeeze(0);
        const auto value = patch.accessor<double, 3>();
        for (int64_t i = 0; i < 16 * 16; ++i) {
          const int64_t px = x + i % 16 - shift_x, py = y + i / 16 - shift_y;
          const bool inside = 0 <= px && px < picture.width && 0 <= py && py < picture.height;
          for (int c = 0; c < 3; ++c) {
            const double expected = inside ? whole[py * picture.width + px][c] : 0.0;
            ASSERT_NEAR(value[c][i / 16][i % 16], expected, 1.0 / 255) << bag.id << " " << k;
          }
        }
      }
    }
  }
  EXPECT_GE(shifts.size(), 4u);
}

TEST_F(LoaderTest, APatchsOwnJitterTakesItsOwnMean) {
  open({{"a", random_picture(48, 32, 1)}});
  options_.augment = {0.4, 0.4, 0.4, 0.3, JitterPer::kPatch, 0};
  const auto batches = load({{0}});
  const HostBatch& batch = batches[0];
  ASSERT_EQ(batch.jitter.size(), 6u);
  EXPECT_NE(batch.jitter[0].brightness, batch.jitter[1].brightness);
  const DevicePatches patches(batch, {0, 0, 0}, {1, 1, 1}, at::kCPU, at::kDouble, 0);
  for (int64_t row = 0; row < 6; ++row) {
    image::Image patch(16, 16, 3);
    for (int64_t y = 0; y < 16; ++y) {
      const uint8_t* source = pictures_[0].second.row(row / 3 * 16 + y) + row % 3 * 16 * 3;
      std::copy(source, source + 48, patch.row(y));
    }
    const std::vector<Pixel> expected = jitter_whole(patch, batch.jitter[row]);
    const at::Tensor got = patches.gather({row}).squeeze(0);
    for (int64_t i = 0; i < 256; ++i) {
      for (int c = 0; c < 3; ++c) {
        ASSERT_NEAR(got[c][i / 16][i % 16].item<double>(), expected[i][c], 1e-5);
      }
    }
  }
}

// The kept patches put together again; everything is kept and fits exactly.
image::Image reassemble(const HostBatch& batch) {
  const HostBag& bag = batch.bags[0];
  const int64_t p = batch.pixels.size(2);
  image::Image whole(bag.grid_columns * p, bag.grid_rows * p, 3);
  for (int64_t row = 0; row < batch.pixels.size(0); ++row) {
    for (int64_t i = 0; i < p * p; ++i) {
      const int64_t x = bag.index[row] % bag.grid_columns * p + i % p;
      const int64_t y = bag.index[row] / bag.grid_columns * p + i / p;
      for (int c = 0; c < 3; ++c) {
        whole.row(y)[3 * x + c] = batch.pixels.const_data_ptr<uint8_t>()[(row * 3 + c) * p * p + i];
      }
    }
  }
  return whole;
}

image::Image rebuild(int64_t width, int64_t height, const image::Image& source,
                     const std::function<std::pair<int64_t, int64_t>(int64_t, int64_t)>& from) {
  image::Image result(width, height, 3);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const auto [sx, sy] = from(x, y);
      if (sx < 0 || sy < 0 || sx >= source.width || sy >= source.height) continue;
      std::copy_n(source.row(sy) + 3 * sx, 3, result.row(y) + 3 * x);
    }
  }
  return result;
}

// Which of the 8 ways to lay a picture down, after some translation of at most 1, gives `shown`;
// -1.
int which_way(const image::Image& picture, const image::Image& shown) {
  for (int64_t shift = 0; shift < 9; ++shift) {
    const int64_t tx = shift % 3 - 1, ty = shift / 3 - 1;
    const image::Image moved =
        rebuild(picture.width, picture.height, picture,
                [&](int64_t x, int64_t y) { return std::pair(x - tx, y - ty); });
    for (int way = 0; way < 8; ++way) {
      const bool transposed = way >= 4;
      const int64_t width = transposed ? moved.height : moved.width;
      const int64_t height = transposed ? moved.width : moved.height;
      if (width != shown.width || height != shown.height) continue;
      const image::Image laid = rebuild(width, height, moved, [&](int64_t x, int64_t y) {
        if ((way & 1) != 0) x = width - 1 - x;
        if ((way & 2) != 0) y = height - 1 - y;
        return transposed ? std::pair(y, x) : std::pair(x, y);
      });
      if (laid.pixels == shown.pixels) return way;
    }
  }
  return -1;
}

TEST_F(LoaderTest, FlipsAndTurns) {
  open({{"a", random_picture(48, 32, 1)}});
  no_augmentation();
  options_.augment.translate = 1;
  const auto ways = [&](Flip flip, bool rotate) {
    options_.augment.flip = flip;
    options_.augment.rotate90 = rotate;
    std::set<int> found;
    for (options_.epoch = 0; options_.epoch < 60; ++options_.epoch) {
      const auto batches = load({{0}});
      found.insert(which_way(pictures_[0].second, reassemble(batches[0])));
    }
    return found;
  };
  EXPECT_THAT(ways(Flip::kNone, false), ElementsAre(0));
  EXPECT_THAT(ways(Flip::kHorizontal, false), ElementsAre(0, 1));
  EXPECT_THAT(ways(Flip::kBoth, false), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(ways(Flip::kNone, true), ElementsAre(0, 3, 5, 6));  // turns alone never mirror
  EXPECT_THAT(ways(Flip::kBoth, true), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST_F(LoaderTest, DroppedPatchesAreNeverCopied) {
  open({{"a", random_picture(160, 160, 1)}});  // 100 patches
  options_.augment.translate = 0;
  const int64_t patch_bytes = 16 * 16 * 3;
  EXPECT_EQ(load({{0}})[0].bytes_copied, 100 * patch_bytes);
  options_.drop.ratio = "0.5";
  const auto half = load({{0}});
  EXPECT_EQ(half[0].bytes_copied, 51 * patch_bytes);  // 98 / 2 + 2
  EXPECT_EQ(half[0].pixels.size(0), 51);
  EXPECT_EQ(count_patches(*dataset_, 0, options_).kept, 51);
  EXPECT_TRUE(std::is_sorted(half[0].bags[0].index.begin(), half[0].bags[0].index.end()));
  options_.epoch = 1;
  EXPECT_NE(load({{0}})[0].bags[0].index, half[0].bags[0].index);
  options_.training = false;
  EXPECT_EQ(load({{0}})[0].bytes_copied, 100 * patch_bytes);
  EXPECT_TRUE(load({{0}})[0].jitter.empty());
}

TEST_F(LoaderTest, ThreadsPrefetchAndNeighboursChangeNothing) {
  NamedPictures pictures;
  for (int i = 0; i < 12; ++i) {
    pictures.emplace_back(fmt::format("p{}", 10 + i), random_picture(40 + 7 * i, 64, i));
  }
  open(pictures);
  options_.drop.ratio = "0.4";
  options_.augment.erase = Erase::kRandom;
  options_.drop.erase_ratio = 0.3;
  const auto alone = load({{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}, {11}});
  for (const int threads : {1, 4}) {
    for (const int64_t host_bytes : {int64_t{0}, int64_t{1}, int64_t{60000}}) {
      options_.decode_threads = threads;
      options_.host_bytes = host_bytes;
      options_.data.prefetch_batches = threads;
      const auto batches = load({{3, 7, 0}, {}, {11, 10, 9, 8}, {1, 2}, {4, 5, 6}, {}});
      ASSERT_EQ(batches.size(), 6u);
      EXPECT_EQ(batches[1].pixels.size(0), 0);
      for (const HostBatch& batch : batches) {
        for (size_t b = 0; b < batch.bags.size(); ++b) {
          const HostBatch& same = alone[batch.bags[b].picture];
          EXPECT_EQ(batch.bags[b].index, same.bags[0].index);
          EXPECT_EQ(batch.jitter[b].mean_grey, same.jitter[0].mean_grey);
          const int64_t first = batch.offsets[b], last = batch.offsets[b + 1];
          EXPECT_TRUE(at::equal(batch.pixels.slice(0, first, last), same.pixels));
          EXPECT_TRUE(at::equal(batch.inside.slice(0, first, last), same.inside));
          EXPECT_TRUE(at::equal(batch.erased.slice(0, first, last), same.erased));
          EXPECT_GT(same.erased.max().item<int>(), 0);
        }
      }
    }
  }
}

TEST_F(LoaderTest, RaggedPicturesOfTheirOwnSize) {
  open({{"large", random_picture(100, 50, 1)}, {"small", random_picture(9, 40, 2)}});
  options_.training = false;
  EXPECT_TRUE(count_patches(*dataset_, 1, options_).padded);
  EXPECT_FALSE(count_patches(*dataset_, 0, options_).padded);
  auto batches = load({{0, 1}});
  EXPECT_THAT(batches[0].offsets, ElementsAre(0, 18, 20));
  // Nine pixels across, padded to a patch of sixteen with black.
  const at::Tensor padded = batches[0].pixels.slice(0, 18, 20);
  EXPECT_EQ(padded.slice(3, 9).max().item<int>(), 0);
  EXPECT_EQ(padded[1][2][15][8].item<int>(), pictures_[1].second.row(31)[8 * 3 + 2]);
  EXPECT_TRUE(at::equal(batches[0].inside[18], at::tensor({0, 0, 9, 16}, at::kInt)));

  options_.data.resize = Resize::kLongest;
  options_.data.width = 64;
  batches = load({{0, 1}});
  EXPECT_THAT(batches[0].offsets, ElementsAre(0, 8, 12));
  EXPECT_FLOAT_EQ(batches[0].bags[0].x[1], 25.0f);
  EXPECT_FLOAT_EQ(batches[0].bags[0].patch_width_source, 25.0f);
  const image::Image resized = image::resize(pictures_[0].second, 64, 32);
  EXPECT_EQ(batches[0].pixels[7][1][3][4].item<int>(), resized.row(19)[52 * 3 + 1]);

  options_.data.resize = Resize::kScale;
  options_.data.scale = 2.0;
  EXPECT_THAT(load({{0, 1}})[0].offsets, ElementsAre(0, 72, 77));
}

TEST_F(LoaderTest, WholePicturesNeedOneSize) {
  open({{"a", random_picture(30, 20, 1)}, {"b", random_picture(20, 30, 2)}});
  options_.data.patch_size = 0;
  options_.training = false;
  EXPECT_THAT(load({{0}})[0].pixels.sizes(), ElementsAre(1, 3, 20, 30));
  EXPECT_THROW(load({{0, 1}}), ConfigError);
  options_.data.resize = Resize::kExact;
  options_.data.width = options_.data.height = 24;
  options_.channels = 1;
  EXPECT_THAT(load({{0, 1}})[0].pixels.sizes(), ElementsAre(2, 1, 24, 24));
}

TEST_F(LoaderTest, FailuresArriveWithTheirBatch) {
  open({{"a", random_picture(32, 32, 1)}, {"big", random_picture(300, 300, 2)}});
  options_.data.picture_pixels = 50000;
  options_.decode_threads = 3;
  Loader loader(*dataset_, options_, {{0}, {0, 1}, {0}});
  EXPECT_TRUE(loader.next());
  try {
    loader.next();
    FAIL() << "nothing was thrown";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("big"));
    EXPECT_THAT(error.what(), HasSubstr("picture_pixels"));
  }
}

TEST_F(LoaderTest, ALongWaitIsToldAndCanBeGivenUp) {
  open({{"a", random_picture(4000, 4000, 1)}});
  options_.decode_threads = 1;
  Loader loader(*dataset_, options_, {std::vector<int64_t>(4, 0)});
  struct GivenUp {};
  EXPECT_THROW(loader.next([](bool) { throw GivenUp(); }), GivenUp);
  int pictures = 0;
  const auto batch = loader.next([&](bool went_on) { pictures += went_on ? 1 : 0; });
  ASSERT_TRUE(batch);
  EXPECT_GT(batch->wait_seconds, 0);
  EXPECT_LE(pictures, 4);
}

TEST_F(LoaderTest, WhatLiesReadyWasNotWaitedFor) {
  open({{"a", random_picture(64, 64, 1)}});
  Loader loader(*dataset_, options_, std::vector<std::vector<int64_t>>(21, {0}));
  int64_t without_waiting = 0;
  while (const auto batch = loader.next()) {
    if (batch->wait_seconds == 0) ++without_waiting;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_GT(without_waiting, 10);
}

TEST_F(LoaderTest, MemoryStaysWithinHostBytes) {
  open({{"a", random_picture(64, 64, 1)}});  // 12,288 bytes of pixels, as many encoded
  options_.decode_threads = 4;
  options_.data.prefetch_batches = 8;
  const auto peak = [&](int64_t host_bytes) {
    options_.host_bytes = host_bytes;
    Loader loader(*dataset_, options_, std::vector<std::vector<int64_t>>(20, {0, 0}));
    int64_t batches = 0;
    while (loader.next()) ++batches;
    EXPECT_EQ(batches, 20);
    return loader.peak_bytes();
  };
  const int64_t batch = 2 * 64 * 64 * 3;
  for (const int64_t host_bytes : {3 * batch, 5 * batch}) {
    EXPECT_LE(peak(host_bytes), host_bytes);
    EXPECT_GE(peak(host_bytes), 2 * batch);
  }
  EXPECT_LE(peak(1), batch + 3 * batch / 2);  // one batch, one picture
}

TEST_F(LoaderTest, APictureDrawnAgainIsAugmentedAnew) {
  open({{"a", random_picture(64, 64, 1)}});
  options_.drop.ratio = "0.5";
  const HostBatch batch = *Loader(*dataset_, options_, {{0, 0, 0}}, {{0, 1, 2}}).next();
  EXPECT_NE(batch.jitter[0].contrast, batch.jitter[1].contrast);
  EXPECT_NE(batch.jitter[1].contrast, batch.jitter[2].contrast);
  EXPECT_NE(batch.bags[0].index, batch.bags[1].index);
  // The first time is as if there were no others.
  EXPECT_EQ(batch.jitter[0].contrast, load({{0}})[0].jitter[0].contrast);
}

TEST_F(LoaderTest, CanBeLeftBeforeTheEnd) {
  open({{"a", random_picture(64, 64, 1)}});
  options_.decode_threads = 2;
  Loader loader(*dataset_, options_, std::vector<std::vector<int64_t>>(50, {0, 0}));
  EXPECT_TRUE(loader.next());
}

}  // namespace
}  // namespace dbps::data

#include "data/erase.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "data/batch.h"
#include "data/cut.h"
#include "data/device_jitter.h"

namespace dbps::data {
namespace {

using ::testing::IsEmpty;

constexpr int64_t kWidth = 60;
constexpr int64_t kHeight = 48;
constexpr int64_t kPatch = 12;  // 5 x 4 patches

LoaderOptions erasing(Erase erase, double ratio) {
  LoaderOptions options;
  options.data.resize = Resize::kNone;
  options.data.patch_size = kPatch;
  options.augment = {0, 0, 0, 0, JitterPer::kBag, 0};
  options.augment.erase = erase;
  options.drop.erase_ratio = ratio;
  options.seed = 3;
  return options;
}

Cut plan(const LoaderOptions& options, uint64_t sample = 1) {
  HostBag bag;
  bag.sample = sample;
  bag.source_width = kWidth;
  bag.source_height = kHeight;
  return plan_cut(std::move(bag), options);
}

// 1 where a window (in the pixels of its patch) covers a pixel of the whole picture.
at::Tensor covered(const std::vector<Window>& parts) {
  at::Tensor whole = at::zeros({kHeight, kWidth}, at::kInt);
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t y = static_cast<int64_t>(i) / 5 * kPatch,
                  x = static_cast<int64_t>(i) % 5 * kPatch;
    whole.slice(0, y + parts[i].y0, y + parts[i].y1)
        .slice(1, x + parts[i].x0, x + parts[i].x1)
        .add_(1);
  }
  return whole;
}

// The smallest rectangle around the non-zero pixels.
Window bounds(const at::Tensor& whole) {
  const at::Tensor at = whole.nonzero();
  const auto low = std::get<0>(at.min(0)), high = std::get<0>(at.max(0)) + 1;
  return {low[1].item<int64_t>(), low[0].item<int64_t>(), high[1].item<int64_t>(),
          high[0].item<int64_t>()};
}

bool is_empty(const Window& window) { return window.x0 >= window.x1; }

TEST(DrawRectangle, HasItsShareAndALogUniformAspectAnywhere) {
  RandomStream random(7, Purpose::kErase);
  const Size picture{400, 300};
  constexpr int kDraws = 4000;
  double log_sum = 0, log_squares = 0;
  std::set<int64_t> left, top;
  for (int i = 0; i < kDraws; ++i) {
    const Window w = draw_rectangle(random, 0.1, picture);
    const auto width = static_cast<double>(w.x1 - w.x0), height = static_cast<double>(w.y1 - w.y0);
    EXPECT_NEAR(width * height / (400 * 300), 0.1, 0.003);  // sides are whole pixels
    const double log_aspect = std::log(height / width);
    EXPECT_GE(log_aspect, std::log(0.3) - 0.02);
    EXPECT_LE(log_aspect, std::log(3.3) + 0.02);
    log_sum += log_aspect;
    log_squares += log_aspect * log_aspect;
    EXPECT_GE(std::min(w.x0, w.y0), 0);
    EXPECT_LE(w.x1, 400);
    EXPECT_LE(w.y1, 300);
    if (w.x0 == 0 || w.x1 == 400) left.insert(w.x0 == 0 ? 0 : 1);
    if (w.y0 == 0 || w.y1 == 300) top.insert(w.y0 == 0 ? 0 : 1);
  }
  // Uniform over a range of log 11, whose middle is almost 0.
  EXPECT_NEAR(log_sum / kDraws, (std::log(0.3) + std::log(3.3)) / 2, 0.05);
  EXPECT_NEAR(log_squares / kDraws, std::pow(std::log(11.0), 2) / 12, 0.02);
  EXPECT_EQ(left.size(), 2u);
  EXPECT_EQ(top.size(), 2u);
}

TEST(DrawRectangle, IsNoneWhereNothingFits) {
  RandomStream random(7, Purpose::kErase);
  EXPECT_TRUE(is_empty(draw_rectangle(random, 0.9, {1000, 10})));
}

TEST(Erasing, OneRectangleFallsAcrossThePatches) {
  std::set<int64_t> places;
  for (uint64_t sample = 0; sample < 50; ++sample) {
    const Cut cut = plan(erasing(Erase::kRandom, 0.3), sample);
    ASSERT_EQ(cut.erased.size(), 20u);
    const at::Tensor whole = covered(cut.erased);
    const Window w = bounds(whole);
    // All of its bounds and nothing twice: the parts make one rectangle.
    EXPECT_EQ(whole.sum().item<int64_t>(), (w.x1 - w.x0) * (w.y1 - w.y0));
    EXPECT_EQ(whole.max().item<int>(), 1);
    EXPECT_NEAR(whole.to(at::kFloat).mean().item<double>(), 0.3, 0.02);
    places.insert(w.y0 * kWidth + w.x0);
  }
  EXPECT_GT(places.size(), 30u);
}

TEST(Erasing, PatchesAreZeroOver97PercentOfTheirSide) {
  LoaderOptions options = erasing(Erase::kPatches, 0.33);  // 6.6 of 20
  std::set<size_t> ever;
  for (options.epoch = 0; options.epoch < 40; ++options.epoch) {
    const Cut cut = plan(options);
    ASSERT_EQ(cut.erased.size(), 20u);
    int count = 0;
    for (size_t i = 0; i < cut.erased.size(); ++i) {
      if (is_empty(cut.erased[i])) continue;
      ++count;
      ever.insert(i);
      EXPECT_EQ(cut.erased[i].x0, 0);  // 0.97 x 12 = 11.64: all of a small patch
      EXPECT_EQ(cut.erased[i].x1, 12);
    }
    EXPECT_EQ(count, 7);
  }
  EXPECT_EQ(ever.size(), 20u);

  options.data.patch_size = 0;
  Grid grid = make_grid(options.data, {100, 200});
  options.drop.erase_ratio = 0.9;
  RandomStream random(1, Purpose::kErase);
  const Window w = draw_erased(random, options, {100, 200}, grid, {0}).at(0);
  EXPECT_THAT((std::vector<int64_t>{w.x0, w.y0, w.x1, w.y1}), testing::ElementsAre(1, 3, 98, 197));
}

TEST(Erasing, IsOfTrainingAndOfItsPictureAndEpochAlone) {
  LoaderOptions options = erasing(Erase::kRandom, 0.3);
  const at::Tensor once = covered(plan(options).erased);
  EXPECT_TRUE(at::equal(covered(plan(options).erased), once));
  EXPECT_FALSE(at::equal(covered(plan(options, 2).erased), once));
  options.epoch = 1;
  EXPECT_FALSE(at::equal(covered(plan(options).erased), once));
  options.training = false;
  EXPECT_THAT(plan(options).erased, IsEmpty());

  // It takes no draw from what else is random.
  options = erasing(Erase::kNone, 0);
  options.augment = {0.4, 0.4, 0.4, 0.3, JitterPer::kBag, 9};
  const Cut without = plan(options);
  EXPECT_THAT(without.erased, IsEmpty());
  options.augment.erase = Erase::kPatches;
  options.drop.erase_ratio = 0.5;
  const Cut with = plan(options);
  EXPECT_EQ(with.jitter.at(0).brightness, without.jitter.at(0).brightness);
  EXPECT_EQ(with.placement.origin_x, without.placement.origin_x);
  EXPECT_EQ(with.bag.index, without.bag.index);
}

// PyTorch's reading: the whole normalised picture, the rectangle set to 0, then cut.
TEST(Erasing, IsThatOfTheWholeNormalisedPicture) {
  const Cut cut = plan(erasing(Erase::kRandom, 0.3));
  const at::Tensor picture = at::randint(256, {3, kHeight, kWidth}, at::kByte);
  HostBatch batch;
  batch.bags = {cut.bag};
  batch.offsets = {0, 20};
  batch.pixels = picture.unfold(1, kPatch, kPatch)
                     .unfold(2, kPatch, kPatch)
                     .permute({1, 2, 0, 3, 4})
                     .reshape({20, 3, kPatch, kPatch})
                     .contiguous();
  batch.inside = at::tensor({0, 0, 12, 12}, at::kInt).repeat({20, 1});
  std::vector<int> edges;
  for (const Window& w : cut.erased) {
    for (const int64_t edge : {w.x0, w.y0, w.x1, w.y1}) edges.push_back(static_cast<int>(edge));
  }
  batch.erased = at::tensor(edges, at::kInt).view({20, 4});

  const std::vector<double> mean = {0.485, 0.456, 0.406}, std = {0.229, 0.224, 0.225};
  at::Tensor whole =
      (picture.to(at::kDouble) / 255 - at::tensor(mean, at::kDouble).view({3, 1, 1})) /
      at::tensor(std, at::kDouble).view({3, 1, 1});
  const Window w = bounds(covered(cut.erased));
  whole.slice(1, w.y0, w.y1).slice(2, w.x0, w.x1).zero_();
  const at::Tensor expected = whole.unfold(1, kPatch, kPatch)
                                  .unfold(2, kPatch, kPatch)
                                  .permute({1, 2, 0, 3, 4})
                                  .reshape({20, 3, kPatch, kPatch});
  std::vector<int64_t> rows = {7, 0, 19, 8, 12};
  const at::Tensor asked = expected.index_select(0, at::tensor(rows, at::kLong));
  const DevicePatches host(batch, mean, std, at::kCPU, at::kDouble, 0);
  EXPECT_LT((host.gather(rows) - asked).abs().max().item<double>(), 1e-12);

  const at::Tensor hidden = lies_in(batch.erased, batch.pixels);  // as on a GPU
  EXPECT_TRUE(at::equal(hidden.expand({20, 3, kPatch, kPatch}), expected == 0));
}

}  // namespace
}  // namespace dbps::data

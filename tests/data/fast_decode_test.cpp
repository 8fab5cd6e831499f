// data.fast_decode: how far pictures decoded smaller lie from those decoded in full.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/load_all.h"
#include "image/codec.h"
#include "support/small_store.h"
#include "support/temp_folder.h"

namespace dbps::data {
namespace {

// Discs of all sizes laid over each other: edges and areas as photographs have them.
image::Image discs(int64_t width, int64_t height, uint64_t seed) {
  RandomStream random(seed, Purpose::kDemo);
  image::Image picture(width, height, 3);
  for (int i = 0; i < 6000; ++i) {
    const double radius = 4 / std::sqrt(random.uniform(1e-4, 1));
    const double centre_x = random.uniform(0, static_cast<double>(width));
    const double centre_y = random.uniform(0, static_cast<double>(height));
    uint8_t colour[3];
    for (uint8_t& value : colour) value = static_cast<uint8_t>(64 + random.below(128));
    const auto first = [&](double centre) {
      return std::max<int64_t>(0, static_cast<int64_t>(centre - radius));
    };
    for (int64_t y = first(centre_y); y < height && y <= centre_y + radius; ++y) {
      for (int64_t x = first(centre_x); x < width && x <= centre_x + radius; ++x) {
        const double dx = static_cast<double>(x) - centre_x, dy = static_cast<double>(y) - centre_y;
        if (dx * dx + dy * dy <= radius * radius) std::copy_n(colour, 3, picture.row(y) + 3 * x);
      }
    }
  }
  return picture;
}

class FastDecodeTest : public ::testing::Test {
 protected:
  FastDecodeTest() {
    const image::Image picture = discs(1200, 896, 1);
    jpeg_ = image::encode_jpeg(picture, 90);
    const auto folder = folder_.path() / "store";
    store::Writer writer(folder, {});
    store::Bag bag;
    bag.id = "a";
    bag.width = picture.width;
    bag.height = picture.height;
    writer.append(bag, {}, jpeg_);
    writer.finish();
    write_text(folder / "labels.csv", "id,label\na,x\n");
    options_.data.store = {folder.string()};
    options_.data.fraction_validation = 0;
    options_.data.patch_size = 16;
    options_.training = false;
    dataset_ = std::make_unique<Dataset>(
        options_.data, std::vector<TaskColumn>{{"label", "", "multiclass", {"x", "y"}}});
  }

  HostBatch load(bool fast, int64_t width, int64_t height) {
    options_.data.fast_decode = fast;
    options_.data.width = width;
    options_.data.height = height;
    return std::move(load_all(*dataset_, options_, {{0}}).front());
  }

  TempFolder folder_;
  std::vector<uint8_t> jpeg_;
  LoaderOptions options_;
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(FastDecodeTest, StaysNearTheFullPath) {
  for (const auto& [width, height] : std::vector<std::pair<int64_t, int64_t>>{
           {400, 298}, {300, 224}, {200, 149}, {150, 112}, {100, 74}}) {
    const HostBatch full = load(false, width, height), fast = load(true, width, height);
    ASSERT_EQ(full.bags[0].x, fast.bags[0].x);
    ASSERT_EQ(full.bags[0].patch_width_source, fast.bags[0].patch_width_source);
    const at::Tensor difference = (full.pixels.to(at::kInt) - fast.pixels.to(at::kInt)).abs();
    const double mean = difference.to(at::kDouble).mean().item<double>();
    fmt::print("1200 x 896 to {} x {}: differs by {:.2f} on average, {} at most\n", width, height,
               mean, difference.max().item<int>());
    EXPECT_GT(mean, 0) << "was not decoded smaller";
    EXPECT_LT(mean, 2);
  }
}

TEST_F(FastDecodeTest, ChangesNothingWhereTheResizeDoesNotAllow) {
  EXPECT_TRUE(load(false, 600, 450).pixels.equal(load(true, 600, 450).pixels));
  EXPECT_TRUE(load(false, 460, 300).pixels.equal(load(true, 460, 300).pixels));
}

// What predict reads from a file is what eval reads from a store.
TEST_F(FastDecodeTest, IsTheSameOutOfAStore) {
  const HostBatch stored = load(true, 400, 298);
  const HostBatch alone = cut_encoded(jpeg_, "a.jpg", "a", options_);
  EXPECT_TRUE(stored.pixels.equal(alone.pixels));
  EXPECT_EQ(stored.bags[0].y, alone.bags[0].y);
  EXPECT_EQ(alone.bags[0].source_width, 1200);
}

}  // namespace
}  // namespace dbps::data

// Bags of feature vectors through the Loader.
#include "data/vectors.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <memory>

#include "base/error.h"
#include "data/grid.h"
#include "data/load_all.h"
#include "support/small_store.h"
#include "support/temp_folder.h"

namespace dbps::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kWidth = 6;
const std::vector<int64_t> kSizes = {40, 7, 1, 90};

// Row r of bag b holds 100 b + r + c / 4 in column c: exact in float16.
at::Tensor vectors_of(int64_t bag) {
  return (100 * bag + at::arange(kSizes[bag]).view({-1, 1}) + at::arange(kWidth).view({1, -1}) / 4.)
      .to(at::kFloat);
}

void make_vectors(const std::filesystem::path& folder, at::ScalarType type) {
  store::WriterOptions options;
  options.settings.kind = store::Kind::kFeatures;
  options.settings.channels = kWidth;
  options.settings.pixel_type = type == at::kHalf ? "float16" : "float32";
  store::Writer writer(folder, options);
  for (size_t b = 0; b < kSizes.size(); ++b) {
    const at::Tensor rows = vectors_of(static_cast<int64_t>(b)).to(type).contiguous();
    const uint64_t width = store::vector_bytes(options.settings);
    store::Vectors vectors;
    vectors.count = kSizes[b];
    vectors.read = [&](int64_t first, int64_t count, uint8_t* out) {
      std::memcpy(out, static_cast<const uint8_t*>(rows.data_ptr()) + first * width, count * width);
    };
    store::Bag bag;
    bag.id = fmt::format("b{}", b);
    writer.append(bag, {bag.id + ".npy", 1, 1, "", {}, ""}, vectors);
  }
  writer.finish();
}

class VectorsTest : public ::testing::Test {
 protected:
  void open(at::ScalarType type = at::kFloat) {
    const auto folder = folder_.path() / "store";
    make_vectors(folder, type);
    write_text(folder / "labels.csv", "id,label\nb0,x\nb1,y\nb2,x\nb3,y\n");
    options_.data.store = {folder.string()};
    options_.data.fraction_validation = 0;
    options_.salient = 5;
    options_.seed = 3;
    options_.decode_threads = 2;
    dataset_ = std::make_unique<Dataset>(
        options_.data, std::vector<TaskColumn>{{"label", "", "multiclass", {"x", "y"}}});
  }

  std::vector<HostBatch> load(const std::vector<std::vector<int64_t>>& batches) const {
    return load_all(*dataset_, options_, batches);
  }

  TempFolder folder_;
  LoaderOptions options_;
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(VectorsTest, EvaluationReadsRaggedBagsWhole) {
  for (const at::ScalarType type : {at::kFloat, at::kHalf}) {
    open(type);
    options_.training = false;
    const std::vector<HostBatch> batches = load({{0, 1}, {}, {2, 3}});
    ASSERT_EQ(batches.size(), 3u);
    EXPECT_THAT(batches[0].offsets, ElementsAre(0, 40, 47));
    EXPECT_TRUE(at::equal(batches[0].pixels, at::cat({vectors_of(0), vectors_of(1)})));
    EXPECT_TRUE(at::equal(batches[2].pixels, at::cat({vectors_of(2), vectors_of(3)})));
    EXPECT_EQ(batches[1].bags.size(), 0u);
    EXPECT_EQ(batches[0].bags[1].x[3], 3);
    EXPECT_EQ(batches[0].bags[1].y[3], 0);
    EXPECT_EQ(dataset_->feature_width(), kWidth);
    std::filesystem::remove_all(folder_.path() / "store");
  }
}

TEST_F(VectorsTest, OnlyKeptVectorsAreRead) {
  open();
  options_.drop.ratio = "0.3";
  const std::vector<HostBatch> batches = load({{0, 1, 2, 3}});
  const HostBatch& batch = batches.at(0);
  int64_t kept = 0;
  for (size_t b = 0; b < kSizes.size(); ++b) {
    const std::vector<int64_t>& index = batch.bags[b].index;
    kept += static_cast<int64_t>(index.size());
    EXPECT_EQ(index.size(), static_cast<size_t>(kept_patches("0.3", kSizes[b], 5)));
    EXPECT_TRUE(std::is_sorted(index.begin(), index.end()));
    const at::Tensor expected =
        vectors_of(static_cast<int64_t>(b)).index_select(0, at::tensor(index, at::kLong));
    EXPECT_TRUE(at::equal(batch.pixels.slice(0, batch.offsets[b], batch.offsets[b + 1]), expected));
  }
  EXPECT_EQ(batch.bytes_read, kept * kWidth * 4);
  EXPECT_EQ(count_patches(*dataset_, 3, options_).kept, kept_patches("0.3", 90, 5));
}

TEST_F(VectorsTest, TheDropHangsOnSeedEpochAndBagAlone) {
  open();
  options_.drop.ratio = "0.5";
  const HostBatch together = std::move(load({{0, 3}}).at(0));
  options_.decode_threads = 1;
  const HostBatch alone = std::move(load({{3}}).at(0));
  EXPECT_EQ(together.bags[1].index, alone.bags[0].index);
  options_.epoch = 1;
  EXPECT_NE(load({{3}}).at(0).bags[0].index, alone.bags[0].index);
}

TEST_F(VectorsTest, TheDeviceGetsThemAsTheyAre) {
  open();
  options_.training = false;
  const HostBatch batch = std::move(load({{1, 0}}).at(0));
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const DevicePatches patches(batch, {}, {}, at::kCPU, type, 0);
    const at::Tensor gathered = patches.gather({46, 0, 7});
    EXPECT_EQ(gathered.scalar_type(), type);
    EXPECT_TRUE(at::equal(
        gathered, batch.pixels.index_select(0, at::tensor({46, 0, 7}, at::kLong)).to(type)));
  }
}

TEST_F(VectorsTest, ABagOfNoDataSetIsReadAsEvaluationReadsIt) {
  open();
  options_.training = false;
  const HostBatch expected = std::move(load({{3}}).at(0));
  const HostBatch batch = vector_batch(dataset_->store(0), 3);
  EXPECT_TRUE(at::equal(batch.pixels, expected.pixels));
  EXPECT_EQ(batch.bags[0].index, expected.bags[0].index);
  EXPECT_EQ(batch.bags[0].sample, expected.bags[0].sample);
}

TEST_F(VectorsTest, StoresOfPicturesAndOfVectorsDoNotMix) {
  open();
  const auto pictures = folder_.path() / "pictures";
  make_store(pictures, {{"p", random_picture(8, 8, 1)}});
  options_.data.store.push_back(pictures.string());
  try {
    Dataset(options_.data, {{"label", "", "multiclass", {"x", "y"}}});
    FAIL() << "they were mixed";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("features of width 6"));
    EXPECT_THAT(error.what(), HasSubstr("holds images"));
  }
}

TEST_F(VectorsTest, MemoryStaysWithinHostBytes) {
  open();
  options_.training = false;
  options_.data.prefetch_batches = 8;
  const int64_t batch = 90 * kWidth * 4;
  options_.host_bytes = 3 * batch;
  Loader loader(*dataset_, options_, std::vector<std::vector<int64_t>>(20, {3}));
  while (loader.next()) {
  }
  EXPECT_LE(loader.peak_bytes(), 3 * batch);
  EXPECT_GE(loader.peak_bytes(), 2 * batch);
}

}  // namespace
}  // namespace dbps::data

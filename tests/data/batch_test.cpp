#include "data/batch.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "base/csv.h"
#include "base/error.h"
#include "data/device_jitter.h"
#include "data/jitter.h"
#include "support/small_store.h"

namespace dbps::data {
namespace {

std::vector<double> numbers(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<double>(in), {}};
}

struct Golden {
  Jitter jitter;
  image::Image before;        // 30 x 1
  std::vector<double> after;  // HWC
};

std::vector<Golden> read_golden() {
  std::vector<Golden> cases;
  for (const CsvRow& row : read_csv(DBPS_TEST_DATA "/data/golden_jitter.csv").rows) {
    Golden golden;
    const std::vector<double> order = numbers(row.fields[0]);
    std::copy(order.begin(), order.end(), golden.jitter.order.begin());
    golden.jitter.brightness = std::stod(row.fields[1]);
    golden.jitter.contrast = std::stod(row.fields[2]);
    golden.jitter.saturation = std::stod(row.fields[3]);
    golden.jitter.hue = std::stod(row.fields[4]);
    golden.jitter.mean_grey = std::stod(row.fields[5]);
    golden.before = image::Image(30, 1, 3);
    const std::vector<double> before = numbers(row.fields[6]);
    std::copy(before.begin(), before.end(), golden.before.pixels.begin());
    golden.after = numbers(row.fields[7]);
    cases.push_back(std::move(golden));
  }
  return cases;
}

// A batch of one bag a case, each of one patch of 10 x 3 pixels.
HostBatch batch_of(const std::vector<Golden>& cases) {
  HostBatch batch;
  const auto n = static_cast<int64_t>(cases.size());
  batch.pixels = at::empty({n, 3, 3, 10}, at::kByte);
  batch.inside = at::tensor({0, 0, 10, 3}, at::kInt).repeat({n, 1});
  batch.offsets = {0};
  for (int64_t i = 0; i < n; ++i) {
    batch.bags.emplace_back();
    batch.offsets.push_back(i + 1);
    batch.jitter.push_back(cases[i].jitter);
    for (int64_t pixel = 0; pixel < 30; ++pixel) {
      for (int64_t c = 0; c < 3; ++c) {
        batch.pixels.data_ptr<uint8_t>()[(i * 3 + c) * 30 + pixel] =
            cases[i].before.pixels[pixel * 3 + c];
      }
    }
  }
  return batch;
}

const std::vector<double> kMean = {0.485, 0.456, 0.406};
const std::vector<double> kStd = {0.229, 0.224, 0.225};

TEST(MeanGrey, IsThatOfThePictureWhenContrastsTurnComes) {
  for (const Golden& golden : read_golden()) {
    EXPECT_NEAR(mean_grey(golden.jitter, golden.before, {0, 0, 30, 1}), golden.jitter.mean_grey,
                1e-6);
  }
}

TEST(MeanGrey, OfALargePictureIsSampled) {
  image::Image picture(2300, 1500, 3);
  Jitter jitter;
  jitter.brightness = 1.3;
  jitter.order = {0, 3, 2, 1};
  double sum = 0;
  for (int64_t y = 0; y < picture.height; ++y) {
    for (int64_t x = 0; x < picture.width; ++x) {
      const double value = 120 + 100 * std::sin(0.01 * double(x)) * std::cos(0.013 * double(y));
      for (int c = 0; c < 3; ++c) picture.row(y)[x * 3 + c] = static_cast<uint8_t>(value / (c + 1));
      double grey = 0;
      for (int c = 0; c < 3; ++c) {
        const double weight = c == 0 ? 0.2989 : c == 1 ? 0.587 : 0.114;
        grey += weight * std::min(1.0, 1.3 * picture.row(y)[x * 3 + c] / 255.0);
      }
      sum += grey;
    }
  }
  EXPECT_NEAR(mean_grey(jitter, picture, {0, 0, 2300, 1500}), sum / (2300.0 * 1500.0), 0.5 / 255);
}

TEST(DevicePatches, JitterAsTheGoldenNumbers) {
  const std::vector<Golden> cases = read_golden();
  ASSERT_EQ(cases.size(), 24u);
  const HostBatch batch = batch_of(cases);
  std::vector<int64_t> rows;
  for (int64_t i = 23; i >= 0; --i) rows.push_back(i);
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const DevicePatches patches(batch, kMean, kStd, at::kCPU, dtype, 0);
    const at::Tensor all = patches.gather(rows).to(at::kDouble).contiguous();
    const double tolerance = dtype == at::kDouble ? 1e-8 : 2e-5;
    for (int64_t i = 0; i < 24; ++i) {
      const Golden& golden = cases[rows[i]];
      for (int64_t c = 0; c < 3; ++c) {
        for (int64_t pixel = 0; pixel < 30; ++pixel) {
          const double got = all.data_ptr<double>()[(i * 3 + c) * 30 + pixel] * kStd[c] + kMean[c];
          ASSERT_NEAR(got, golden.after[pixel * 3 + c], tolerance) << "case " << rows[i];
        }
      }
    }
  }
}

TEST(DevicePatches, TensorOperationsAgreeWithTheLoops) {
  const std::vector<Golden> cases = read_golden();
  const HostBatch batch = batch_of(cases);
  std::vector<const Jitter*> jitter;
  std::vector<int64_t> rows;
  for (const Golden& golden : cases) {
    rows.push_back(static_cast<int64_t>(rows.size()));
    jitter.push_back(&golden.jitter);
  }
  const DevicePatches patches(batch, {0, 0, 0}, {1, 1, 1}, at::kCPU, at::kDouble, 0);
  at::Tensor tensor = batch.pixels.to(at::kDouble) / 255;
  jitter_on_device(tensor, jitter);
  EXPECT_LT((tensor - patches.gather(rows)).abs().max().item<double>(), 1e-12);
}

TEST(DevicePatches, ADeviceGivesWhatTheHostGives) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU";
  HostBatch batch = batch_of(read_golden());
  batch.inside.select(0, 3).copy_(at::tensor({2, 1, 9, 2}, at::kInt));
  batch.erased = at::tensor({0, 1, 4, 3}, at::kInt).repeat({24, 1});
  const std::vector<int64_t> rows = {5, 3, 3, 20, 0};
  const DevicePatches host(batch, kMean, kStd, at::kCPU, at::kFloat, 0);
  for (const int64_t device_bytes : {0, 1}) {
    const DevicePatches device(batch, kMean, kStd, at::Device(at::kCUDA, 0), at::kFloat,
                               device_bytes);
    const at::Tensor difference = device.gather(rows).cpu() - host.gather(rows);
    EXPECT_LT(difference.abs().max().item<double>(), 1e-4);
  }
}

TEST(DevicePatches, BlackOutsideThePictureAfterTheJitter) {
  Golden golden;
  golden.jitter.contrast = 0.5;
  golden.jitter.mean_grey = 0.8;
  golden.before = image::Image(30, 1, 3);  // black: contrast would lift it to 0.4
  HostBatch batch = batch_of({golden});
  batch.inside = at::tensor({2, 1, 9, 3}, at::kInt).view({1, 4});
  const DevicePatches patches(batch, {0, 0, 0}, {1, 1, 1}, at::kCPU, at::kFloat, 0);
  at::Tensor expected = at::zeros({1, 3, 3, 10});
  expected.slice(2, 1, 3).slice(3, 2, 9).fill_(0.4);
  EXPECT_TRUE(at::allclose(patches.gather({0}), expected));
}

TEST(DevicePatches, NormalisesInTheOrderAsked) {
  HostBatch batch = batch_of(read_golden());
  batch.jitter.clear();
  const DevicePatches patches(batch, kMean, kStd, at::kCPU, at::kFloat, 0);
  const at::Tensor mean = at::tensor(kMean, at::kDouble).view({1, 3, 1, 1});
  const at::Tensor std = at::tensor(kStd, at::kDouble).view({1, 3, 1, 1});
  const at::Tensor order = at::tensor({7, 2, 2, 11}, at::kLong);
  const at::Tensor expected =
      (batch.pixels.index_select(0, order).to(at::kDouble) / 255 - mean) / std;
  const at::Tensor got = patches.gather({7, 2, 2, 11});
  EXPECT_LT((got - expected).abs().max().item<double>(), 1e-6);
  EXPECT_EQ(patches.gather({}).size(0), 0);
  EXPECT_THROW(DevicePatches(batch, {0.5}, {0.5}, at::kCPU, at::kFloat, 0), ConfigError);
}

TEST(DevicePatches, GreyPicturesKnowBrightnessAndContrastOnly) {
  HostBatch batch;
  batch.bags.resize(1);
  batch.offsets = {0, 1};
  batch.pixels = at::arange(12, at::kByte).view({1, 1, 3, 4}) * 20;
  batch.inside = at::tensor({0, 0, 4, 3}, at::kInt).view({1, 4});
  Jitter jitter{1.5, 0.5, 0.1, 0.4, 0.25, {3, 0, 1, 2}};
  batch.jitter = {jitter};
  const DevicePatches patches(batch, {0}, {1}, at::kCPU, at::kDouble, 0);
  const at::Tensor expected =
      (batch.pixels.to(at::kDouble) / 255 * 1.5).clamp(0, 1) * 0.5 + 0.5 * 0.25;
  EXPECT_LT((patches.gather({0}) - expected).abs().max().item<double>(), 1e-12);
}

}  // namespace
}  // namespace dbps::data

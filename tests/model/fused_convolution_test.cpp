// The scan's convolutions beside double precision.
#include "model/fused_convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "model/winograd.h"

namespace dbps::model {
namespace {

struct Case {
  int64_t pictures;
  int64_t in;
  int64_t out;
  int64_t height;
  int64_t width;
  int64_t kernel;
  int64_t stride;
};

struct Operands {
  at::Tensor x;
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor residual;
  at::Tensor exact;
  at::Tensor exact_with_residual;
};

Operands operands(const Case& c) {
  at::Generator random = at::globalContext().defaultGenerator(at::kCPU).clone();
  random.set_current_seed(7);
  const auto normal = [&](at::IntArrayRef size) { return at::randn(size, random, at::kDouble); };
  Operands made;
  made.x = normal({c.pictures, c.in, c.height, c.width}).relu_();
  made.weight = normal({c.out, c.in, c.kernel, c.kernel}) /
                std::sqrt(static_cast<double>(c.in * c.kernel * c.kernel));
  made.bias = normal({c.out});
  const at::Tensor y = at::conv2d(made.x, made.weight, made.bias, c.stride, c.kernel / 2);
  made.residual = normal(y.sizes());
  made.exact = y.relu();
  made.exact_with_residual = (y + made.residual).relu();
  return made;
}

double worst(const at::Tensor& found, const at::Tensor& exact) {
  return (found.to(at::kCPU).to(at::kDouble) - exact).abs().max().item<double>();
}

class Fused : public ::testing::TestWithParam<Case> {};

void compare_on(at::Device device, const Case& c) {
  const Operands all = operands(c);
  for (const auto& [type, tolerance] :
       {std::pair{at::kDouble, 1e-12}, {at::kFloat, 3e-5}, {at::kBFloat16, 0.1}}) {
    const auto there = [&, type = type](const at::Tensor& tensor) {
      return tensor.to(at::TensorOptions(device).dtype(type));
    };
    FusedConvolution convolution(there(all.weight), there(all.bias), c.stride, c.kernel / 2);
    const at::Tensor x = there(all.x).contiguous(at::MemoryFormat::ChannelsLast);
    EXPECT_LT(worst(convolution(x, Activation::kRelu, {}), all.exact), tolerance) << type;
    EXPECT_LT(
        worst(convolution(x, Activation::kRelu, there(all.residual)), all.exact_with_residual),
        tolerance)
        << type;
    const at::Tensor linear = convolution(x, Activation::kNone, {});
    EXPECT_LT(worst(linear.relu(), all.exact), tolerance) << type;
    EXPECT_LT(linear.min().item<double>(), 0) << "without an activation there are negative values";
  }
}

TEST_P(Fused, ComputesWhatDoublePrecisionDoes) { compare_on(at::kCPU, GetParam()); }

TEST_P(Fused, ComputesItOnAGpuToo) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  compare_on(at::kCUDA, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Shapes, Fused,
                         testing::Values(Case{2, 3, 64, 29, 20, 7, 2},     // a stem
                                         Case{3, 64, 64, 25, 25, 3, 1},    // tiles hang over
                                         Case{3, 64, 64, 12, 8, 3, 1},     // tiles fit
                                         Case{70, 32, 256, 4, 4, 3, 1},    // two slices of channels
                                         Case{5, 16, 48, 5, 7, 3, 1},      // too small to gain
                                         Case{2, 16, 32, 9, 9, 3, 2},      // a stride
                                         Case{2, 64, 32, 9, 9, 1, 1},      // 1 x 1
                                         Case{2, 64, 32, 1, 1, 3, 1},      // one pixel
                                         Case{2, 12, 20, 16, 16, 3, 1}));  // no whole vectors

TEST(Winograd, ServesAndGainsWhereItShould) {
  const auto weight = [](at::IntArrayRef size) { return at::zeros(size, at::kFloat); };
  EXPECT_TRUE(WinogradConvolution::serves(weight({64, 64, 3, 3}), 1, 1));
  EXPECT_FALSE(WinogradConvolution::serves(weight({64, 64, 3, 3}), 2, 1));
  EXPECT_FALSE(WinogradConvolution::serves(weight({64, 3, 3, 3}), 1, 1));
  EXPECT_FALSE(WinogradConvolution::serves(weight({64, 64, 1, 1}), 1, 0));
  EXPECT_FALSE(WinogradConvolution::serves(weight({64, 64, 3, 3}).to(at::kDouble), 1, 1));
  for (const int64_t side : {25, 13, 7, 4}) EXPECT_TRUE(WinogradConvolution::gains(side, side));
  for (const int64_t side : {1, 2, 5}) EXPECT_FALSE(WinogradConvolution::gains(side, side));
  EXPECT_TRUE(WinogradConvolution::gains_once(48, 25, 25));
  EXPECT_FALSE(WinogradConvolution::gains_once(2, 7, 7)) << "too few for the filters";
  EXPECT_FALSE(WinogradConvolution::gains_once(1000, 5, 5)) << "as it is for one";
}

TEST(Winograd, GivesTheSameBitsOnAnyNumberOfThreads) {
  const Operands all = operands({9, 64, 256, 13, 13, 3, 1});
  const WinogradConvolution convolution(all.weight.to(at::kFloat), all.bias.to(at::kFloat));
  const at::Tensor x = all.x.to(at::kFloat);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = convolution(x, {}, true);
  at::set_num_threads(2);
  const at::Tensor two = convolution(x, {}, true);
  at::set_num_threads(before);
  EXPECT_TRUE(one.equal(two));
}

}  // namespace
}  // namespace dbps::model

// The convolutions of the trained network and their gradients beside ATen's in double precision.
#include "model/trained_convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

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
  bool winograd;
};

struct Pass {
  at::Tensor y;
  at::Tensor of_x;
  at::Tensor of_weight;
  std::string by;  // the name of the operation that goes back
};

struct Operands {
  at::Tensor x;
  at::Tensor weight;
  at::Tensor of_y;  // the gradient that comes back
  int64_t stride;
  int64_t padding;
};

Operands operands(const Case& c) {
  at::Generator random = at::globalContext().defaultGenerator(at::kCPU).clone();
  random.set_current_seed(7);
  const auto normal = [&](at::IntArrayRef size) { return at::randn(size, random, at::kDouble); };
  Operands made{normal({c.pictures, c.in, c.height, c.width}).relu_(),
                normal({c.out, c.in, c.kernel, c.kernel}) /
                    std::sqrt(static_cast<double>(c.in * c.kernel * c.kernel)),
                {},
                c.stride,
                c.kernel / 2};
  made.of_y = normal(at::conv2d(made.x, made.weight, {}, made.stride, made.padding).sizes());
  return made;
}

using Convolution =
    std::function<at::Tensor(const at::Tensor&, const at::Tensor&, int64_t, int64_t)>;

at::Tensor plain(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding) {
  return at::conv2d(x, weight, {}, stride, padding);
}

Pass there_and_back(const Convolution& convolution, const Operands& all, at::ScalarType type,
                    at::MemoryFormat layout = at::MemoryFormat::ChannelsLast) {
  const auto leaf = [&](const at::Tensor& tensor) {
    return tensor.to(type).contiguous(layout).detach().set_requires_grad(true);
  };
  const at::Tensor x = leaf(all.x);
  const at::Tensor weight = leaf(all.weight);
  const at::Tensor y = convolution(x, weight, all.stride, all.padding);
  y.backward(all.of_y.to(type));
  return {y.detach(), x.grad(), weight.grad(), y.grad_fn()->name()};
}

// Of the differences and of the exact values, in the mean square.
double error(const at::Tensor& found, const at::Tensor& exact) {
  return ((found.to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
}

class Trained : public ::testing::TestWithParam<Case> {};

TEST_P(Trained, ComputesWhatDoublePrecisionDoesAndItsGradients) {
  const Operands all = operands(GetParam());
  const Pass exact = there_and_back(plain, all, at::kDouble);
  const Pass direct = there_and_back(plain, all, at::kFloat);
  for (const at::MemoryFormat layout :
       {at::MemoryFormat::ChannelsLast, at::MemoryFormat::Contiguous}) {
    const Pass found = there_and_back(trained_convolution, all, at::kFloat, layout);
    EXPECT_EQ(found.by != direct.by, GetParam().winograd) << found.by;
    for (const auto part : {&Pass::y, &Pass::of_x, &Pass::of_weight}) {
      EXPECT_EQ((found.*part).sizes(), (exact.*part).sizes());
      EXPECT_LT(error(found.*part, exact.*part), 3e-6);
      EXPECT_LT(error(found.*part, exact.*part), 4 * error(direct.*part, exact.*part));
    }
  }
}

TEST_P(Trained, LeavesDoublePrecisionAsItIs) {
  const Operands all = operands(GetParam());
  const Pass exact = there_and_back(plain, all, at::kDouble);
  const Pass found = there_and_back(trained_convolution, all, at::kDouble);
  EXPECT_TRUE(found.y.equal(exact.y));
  EXPECT_TRUE(found.of_x.equal(exact.of_x));
  EXPECT_TRUE(found.of_weight.equal(exact.of_weight));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Trained,
    testing::Values(Case{12, 64, 64, 25, 25, 3, 1, true},    // tiles hang over, several blocks
                    Case{12, 32, 256, 13, 10, 3, 1, true},   // two slices of channels
                    Case{40, 256, 48, 7, 8, 3, 1, true},     // more channels in than out
                    Case{13, 16, 32, 16, 12, 3, 1, true},    // tiles fit
                    Case{2, 64, 64, 7, 7, 3, 1, false},      // too few to pay for the filters
                    Case{90, 16, 16, 5, 5, 3, 1, false},     // too small to gain
                    Case{9, 64, 32, 25, 25, 3, 2, false},    // a stride
                    Case{9, 64, 32, 25, 25, 1, 1, false}));  // 1 x 1

TEST(TrainedConvolution, GivesEachGradientAlone) {
  const Operands all = operands({12, 64, 64, 25, 25, 3, 1, true});
  const Pass both = there_and_back(trained_convolution, all, at::kFloat);
  for (const bool of_x : {false, true}) {
    const at::Tensor x = all.x.to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor weight = all.weight.to(at::kFloat);
    (of_x ? x : weight).set_requires_grad(true);
    trained_convolution(x, weight, 1, 1).backward(all.of_y.to(at::kFloat));
    EXPECT_EQ(x.grad().defined(), of_x);
    EXPECT_EQ(weight.grad().defined(), !of_x);
    EXPECT_LT(error(of_x ? x.grad() : weight.grad(), of_x ? both.of_x : both.of_weight), 1e-6);
  }
}

TEST(TrainedConvolution, GivesTheSameBitsOnAnyNumberOfThreads) {
  const Operands all = operands({40, 64, 256, 13, 13, 3, 1, true});
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const Pass one = there_and_back(trained_convolution, all, at::kFloat);
  at::set_num_threads(2);
  const Pass two = there_and_back(trained_convolution, all, at::kFloat);
  at::set_num_threads(before);
  EXPECT_TRUE(one.y.equal(two.y));
  EXPECT_TRUE(one.of_x.equal(two.of_x));
}

}  // namespace
}  // namespace dbps::model

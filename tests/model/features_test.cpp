// The features encoder against PyTorch's own operations.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "model/encoder.h"
#include "model/golden.h"

namespace dbps::model {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

EncoderOptions feature_options() {
  EncoderOptions options;
  options.kind = "features";
  options.width_in = 24;
  options.width = 10;
  return options;
}

class FeaturesTest : public testing::Test {
 protected:
  std::unique_ptr<Encoder> make(const EncoderOptions& options = feature_options()) {
    std::unique_ptr<Encoder> encoder = make_encoder(options, at::kDouble, 1, statistics_);
    fill(encoder->parameters());
    statistics_.allocate();
    for (const NamedTensor& t : encoder->parameters().parameters()) tensors_[t.name] = t.tensor;
    for (const NamedTensor& t : encoder->parameters().buffers()) tensors_[t.name] = t.tensor;
    return encoder;
  }

  // LN without affine, Linear, BatchNorm1d, ReLU (method.md 4); training updates mean and variance.
  at::Tensor reference(const at::Tensor& x, at::Tensor mean, at::Tensor variance, bool training) {
    const at::Tensor normal = at::layer_norm(x, {x.size(1)}, {}, {}, 1e-5);
    const at::Tensor linear = at::linear(normal, tensors_.at("projector.linear.weight"),
                                         tensors_.at("projector.linear.bias"));
    return at::batch_norm(linear, tensors_.at("projector.bn.weight"),
                          tensors_.at("projector.bn.bias"), mean, variance, training, 0.1, 1e-5,
                          false)
        .relu();
  }

  BatchStatistics statistics_;
  std::map<std::string, at::Tensor> tensors_;
};

TEST_F(FeaturesTest, NamesAndShapesAreTheProjectors) {
  const std::unique_ptr<Encoder> encoder = make();
  EXPECT_EQ(tensors_.size(), 6u);
  EXPECT_EQ(tensors_.at("projector.linear.weight").sizes(), at::IntArrayRef({10, 24}));
  EXPECT_EQ(encoder->spec().width, 10);
  EXPECT_TRUE(encoder->spec().mean.empty());
  EncoderOptions by_default = feature_options();
  by_default.width = 0;
  EXPECT_EQ(make_encoder(by_default, at::kFloat, 1, statistics_)->spec().width, 512);
}

TEST_F(FeaturesTest, EvaluationAndScanCopyAreTheFormula) {
  const std::unique_ptr<Encoder> encoder = make();
  const at::Tensor x = noise("x", {7, 24}).to(at::kDouble);
  const at::Tensor expected = reference(x, tensors_.at("projector.bn.running_mean"),
                                        tensors_.at("projector.bn.running_var"), false);
  EXPECT_GT(expected.max().item<double>(), 0);
  expect_close(encoder->embed(x, {}), expected, 1e-12, "evaluation");
  const std::unique_ptr<ScanEncoder> scan = encoder->make_scan_copy(at::kFloat);
  expect_close(scan->embed(x), expected, 1e-12, "scan copy");
  EXPECT_FALSE(scan->embed(x).requires_grad());
}

TEST_F(FeaturesTest, TrainingTakesBatchStatisticsAndGradientsReachTheLinear) {
  const std::unique_ptr<Encoder> encoder = make();
  const at::Tensor x = noise("x", {7, 24}).to(at::kDouble);
  const at::Tensor mean = tensors_.at("projector.bn.running_mean").clone();
  const at::Tensor variance = tensors_.at("projector.bn.running_var").clone();
  const at::Tensor expected = reference(x, mean, variance, true);
  Forward forward;
  forward.training = true;
  forward.statistics = &statistics_;
  statistics_.reset();
  const at::Tensor y = encoder->embed(x, forward);
  expect_close(y, expected, 1e-12, "training");
  y.square().sum().backward();
  EXPECT_GT(tensors_.at("projector.linear.weight").grad().abs().max().item<double>(), 0);
  statistics_.update_running();
  expect_close(tensors_.at("projector.bn.running_mean"), mean, 1e-12, "running mean");
  expect_close(tensors_.at("projector.bn.running_var"), variance, 1e-12, "running variance");
  const std::unique_ptr<ScanEncoder> scan = encoder->make_scan_copy(at::kFloat);
  expect_close(scan->embed(x), reference(x, mean, variance, false), 1e-12, "scan after a step");
}

TEST_F(FeaturesTest, FrozenItNeitherTrainsNorRecords) {
  EncoderOptions options = feature_options();
  options.frozen = true;
  const std::unique_ptr<Encoder> encoder = make(options);
  Forward forward;
  forward.training = true;
  EXPECT_FALSE(encoder->embed(noise("x", {7, 24}).to(at::kDouble), forward).requires_grad());
  EXPECT_FALSE(statistics_.sums().defined());
}

TEST_F(FeaturesTest, WhatItCannotBeIsRefused) {
  EncoderOptions unknown = feature_options();
  unknown.width_in = 0;
  EXPECT_THAT([&] { make(unknown); }, ThrowsMessage<ConfigError>(HasSubstr("width_in")));
  EncoderOptions bare = feature_options();
  bare.projector = "none";
  EXPECT_THAT([&] { make(bare); }, ThrowsMessage<ConfigError>(HasSubstr("encoder.projector")));
}

}  // namespace
}  // namespace dbps::model

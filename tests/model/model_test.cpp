// The model as a whole: parameter counts, names, initial weights, weight files, bad options.
#include "model/model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "model/weights.h"
#include "support/temp_folder.h"

namespace dbps::model {
namespace {

using testing::HasSubstr;

int64_t count(const std::vector<NamedTensor>& parameters) {
  int64_t sum = 0;
  for (const NamedTensor& parameter : parameters) sum += parameter.tensor.numel();
  return sum;
}

int64_t encoder_parameters(const EncoderOptions& options) {
  BatchStatistics statistics;
  return count(make_encoder(options, at::kFloat, 1, statistics)->parameters().parameters());
}

ModelOptions tiny_model() {
  ModelOptions options;
  options.encoder = {.kind = "tiny", .width = 0};
  options.aggregator.key_width = 0;
  options.aggregator.value_width = 0;
  options.aggregator.mlp_width = 32;
  options.tasks.resize(1);
  options.tasks[0].name = "digit";
  options.tasks[0].classes = {"a", "b", "c"};
  return options;
}

TEST(Model, ParameterCounts) {
  EXPECT_EQ(encoder_parameters({.kind = "tiny", .width = 64}), 60'688);
  EXPECT_EQ(encoder_parameters({.kind = "resnet18", .width = 512}), 11'176'512);
  EXPECT_EQ(encoder_parameters({.kind = "resnet50", .width = 0, .projector = "none"}), 23'508'032);
  EXPECT_EQ(encoder_parameters({.kind = "resnet50", .width = 512}),
            23'508'032 + 2048 * 512 + 512 + 2 * 512);
}

TEST(Model, TrainsOneStepEndToEnd) {
  Model model(tiny_model(), at::kCPU, at::kFloat, 3);
  Forward forward;
  forward.training = true;
  forward.generator = at::make_generator<at::CPUGeneratorImpl>(7);
  forward.statistics = &model.statistics();
  model.statistics().reset();
  const at::Tensor patches = at::randn({5, 3, 32, 32});
  const at::Tensor salient = model.encoder().embed(patches, forward);
  const std::unique_ptr<ScanEncoder> scan = model.encoder().make_scan_copy();
  const at::Tensor rest = scan->embed(at::randn({3, 3, 32, 32}));
  const at::Tensor tokens =
      model.aggregator().aggregate({salient, {0, 2, 5}}, {rest, {0, 0, 3}}, {}, {}, forward);
  const at::Tensor logits = model.heads().logits(tokens, 0);
  const TaskLabels labels = {at::tensor({0, 2}, at::kLong), at::ones({2})};
  model.heads().losses(logits, labels, 0, 1e-6).mean().backward();
  for (const NamedTensor& parameter : model.parameters()) {
    ASSERT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
    EXPECT_TRUE(parameter.tensor.grad().isfinite().all().item<bool>()) << parameter.name;
    EXPECT_GT(parameter.tensor.grad().abs().max().item<double>(), 0) << parameter.name;
  }
  model.statistics().update_running();
  for (const NamedTensor& buffer : model.buffers()) {
    EXPECT_TRUE(buffer.tensor.isfinite().all().item<bool>()) << buffer.name;
  }
}

}  // namespace
}  // namespace dbps::model

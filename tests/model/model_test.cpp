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

TEST(Model, TrainsOneStepEndToEnd) {
  Model model(tiny_model(), at::kCPU, at::kFloat, 3);
  Forward forward;
  forward.training = true;
  forward.generator = at::make_generator<at::CPUGeneratorImpl>(7);
  forward.statistics = &model.statistics();
  model.statistics().reset();
  const at::Tensor patches = at::randn({5, 3, 32, 32});
  const at::Tensor salient = model.encoder().embed(patches, forward);
  const std::unique_ptr<ScanEncoder> scan = model.encoder().make_scan_copy(at::kFloat);
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

TEST(Model, PartsInOrderAndSameWeightsOnEveryConstruction) {
  const Model model(tiny_model(), at::kCPU, at::kFloat, 3);
  const Model twin(tiny_model(), at::kCPU, at::kFloat, 3);
  const Model wide(tiny_model(), at::kCPU, at::kDouble, 3);
  const auto parameters = model.parameters();
  EXPECT_EQ(parameters.front().name, "encoder.conv1.weight");
  EXPECT_EQ(parameters.back().name, "heads.digit.bias");
  for (size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_TRUE(parameters[i].tensor.equal(twin.parameters()[i].tensor));
    EXPECT_TRUE(parameters[i].tensor.equal(wide.parameters()[i].tensor.to(at::kFloat)));
  }
  EXPECT_EQ(model.buffers().front().name, "encoder.bn1.running_mean");
}

std::vector<NamedTensor> everything(const Model& model) {
  std::vector<NamedTensor> all = model.parameters();
  for (const NamedTensor& buffer : model.buffers()) all.push_back(buffer);
  return all;
}

class EncoderWeights : public testing::Test {
 protected:
  // A model of another seed whose encoder is read from `tensors`.
  Model load(std::vector<NamedTensor> tensors, ModelOptions options = tiny_model()) {
    write_weights(path_, tensors, {});
    options.encoder.weights = path_.string();
    return Model(options, at::kCPU, at::kFloat, 4);
  }
  TempFolder folder_;
  std::filesystem::path path_ = folder_.path() / "weights.safetensors";
};

TEST_F(EncoderWeights, FromAWholeModelAndFromBareNames) {
  Model source(tiny_model(), at::kCPU, at::kFloat, 3);
  std::vector<NamedTensor> bare = source.encoder().parameters().parameters();
  for (const NamedTensor& buffer : source.encoder().parameters().buffers()) bare.push_back(buffer);
  bare.push_back({"bn1.num_batches_tracked", at::tensor(7)});
  for (const auto& tensors : {everything(source), bare}) {
    const Model loaded = load(tensors);
    EXPECT_TRUE(loaded.parameters()[0].tensor.equal(source.parameters()[0].tensor));
    EXPECT_FALSE(loaded.parameters().back().tensor.equal(source.parameters().back().tensor))
        << "only the encoder is read";
  }
}

TEST_F(EncoderWeights, PublishedWeightsFitAProjectedAndShortenedResnet) {
  EncoderOptions published = {.kind = "resnet18", .stages = 2, .width = 0};
  BatchStatistics statistics;
  const auto source = make_encoder(published, at::kFloat, 3, statistics);
  std::vector<NamedTensor> tensors = source->parameters().parameters();
  for (const NamedTensor& buffer : source->parameters().buffers()) tensors.push_back(buffer);
  tensors.push_back({"fc.weight", at::ones({10, 128})});
  tensors.push_back({"bn1.num_batches_tracked", at::tensor(7)});
  ModelOptions options = tiny_model();
  options.encoder = {.kind = "resnet18", .stages = 2, .width = 32, .projector = "linear"};
  const Model model = load(tensors, options);
  EXPECT_TRUE(model.parameters()[0].tensor.equal(tensors[0].tensor));
  options.encoder = {.kind = "resnet18", .stages = 1, .width = 64};
  EXPECT_TRUE(load(tensors, options).parameters()[0].tensor.equal(tensors[0].tensor));

  options.encoder.channels = 1;
  const Model grey = load(tensors, options);
  EXPECT_EQ(grey.parameters()[0].tensor.size(1), 1) << "the stem is replaced";
  EXPECT_EQ(grey.parameters()[3].name, "encoder.layer1.0.conv1.weight");
  EXPECT_TRUE(grey.parameters()[3].tensor.equal(tensors[3].tensor));
}

TEST_F(EncoderWeights, WrongOnesAreNamed) {
  Model source(tiny_model(), at::kCPU, at::kFloat, 3);
  std::vector<NamedTensor> tensors = everything(source);
  tensors[0] = {"encoder.conv1.weight", at::ones({16, 1, 3, 3})};
  tensors[1].name = "encoder.bn9.weight";
  try {
    load(tensors);
    FAIL() << "wrong weights were taken";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(),
                testing::AllOf(HasSubstr(path_.string()), HasSubstr("missing bn1.weight"),
                               HasSubstr("unexpected bn9.weight"),
                               HasSubstr("conv1.weight is (16, 1, 3, 3), not (16, 3, 3, 3)")));
  }
}

}  // namespace
}  // namespace dbps::model

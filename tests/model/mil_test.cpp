// Gated attention, mean and TopMIL against PyTorch's numbers, and classifiers of whole pictures
// against torchvision's.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/golden.h"
#include "model/model.h"

namespace dbps::model {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

std::unique_ptr<Aggregator> make(const std::string& kind, at::ScalarType type = at::kDouble,
                                 int64_t tasks = 2) {
  AggregatorOptions options;
  options.kind = kind;
  options.gated_attention.width = 6;
  return make_aggregator(options, kGoldenWidth, tasks, type, 1);
}

TEST(GatedAttention, TokensAndGradients) {
  const auto golden = read_golden("mil");
  for (const std::string name : {"gated", "gated_both"}) {
    for (const auto& [type, tolerance] : {std::pair{at::kDouble, 1e-12}, {at::kFloat, 1e-5}}) {
      const auto aggregator = make("gated_attention", type);
      fill(aggregator->parameters());
      at::Tensor salient = (noise("salient", {13, kGoldenWidth}) * 2).to(type).requires_grad_();
      at::Tensor rest = (noise("sub_salient", {11, kGoldenWidth}) * 2).to(type).requires_grad_();
      const Ragged sub_salient = name == "gated" ? Ragged{} : Ragged{rest, kGoldenSubSalient};
      const at::Tensor tokens =
          aggregator->aggregate({salient, kGoldenSalient}, sub_salient, {}, {}, {});
      expect_close(tokens, golden.at(name + ".tokens"), tolerance, name);
      (tokens * noise("loss", tokens.sizes()).to(type)).sum().backward();
      EXPECT_FALSE(rest.grad().defined()) << "nothing flows into the sub-salient rows";
      expect_close(salient.grad(), golden.at(name + ".gradient.salient"), tolerance, name);
      for (const NamedTensor& parameter : aggregator->parameters().parameters()) {
        expect_close(parameter.tensor.grad(), golden.at(name + ".gradient." + parameter.name),
                     10 * tolerance, name + " " + parameter.name);
      }
    }
  }
}

TEST(GatedAttention, PoolsByTheSoftmaxOfItsScanLogits) {
  const auto aggregator = make("gated_attention");
  const at::Tensor rows = noise("salient", {13, kGoldenWidth});
  const at::Tensor weights = aggregator->scan_logits(rows, {}).softmax(0);  // one bag of them all
  EXPECT_FALSE(weights.requires_grad());
  expect_close(weights.t().matmul(rows), aggregator->aggregate({rows, {0, 13}}, {}, {}, {}, {})[0],
               1e-14, "tokens");
}

TEST(Mean, IsOneTokenAndGivesNoScores) {
  const auto aggregator = make("mean");
  const at::Tensor salient = noise("salient", {13, kGoldenWidth}) * 2;
  expect_close(aggregator->aggregate({salient, kGoldenSalient}, {}, {}, {}, {}),
               read_golden("mil").at("mean.tokens"), 1e-14, "mean");
  EXPECT_TRUE(aggregator->parameters().parameters().empty());
  EXPECT_THAT([&] { aggregator->scan_logits(salient, {}); },
              ThrowsMessage<ConfigError>(HasSubstr("selection.method")));
}

TEST(TopMil, LossesPredictionsAndConfidences) {
  const auto golden = read_golden("mil");
  std::vector<TaskOptions> tasks(2);
  tasks[0].name = "multiclass";
  tasks[1].name = "multilabel";
  tasks[1].kind = TaskKind::kMultilabel;
  for (TaskOptions& task : tasks) task.num_classes = 4;
  Heads heads(tasks, 4, at::kDouble, 1);
  {
    const c10::NoGradGuard no_grad;  // heads that pass their patches on as logits
    for (const NamedTensor& p : heads.parameters().parameters()) {
      p.tensor.copy_(p.tensor.dim() == 2 ? at::eye(4, at::kDouble) : at::zeros({4}, at::kDouble));
    }
  }
  const auto aggregator = make("top_mil");
  ASSERT_TRUE(aggregator->classifies_patches());
  const std::vector<at::Tensor> targets = {
      at::tensor({0, 3, 1}, at::kLong),
      at::tensor({0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0}, at::kLong).view({3, 4})};
  for (int64_t task = 0; task < 2; ++task) {
    at::Tensor patches = (noise("logits", {13, 4}) * 3).requires_grad_();
    const auto rows = [&] {
      return heads.logits(aggregator->aggregate({patches, kGoldenSalient}, {}, {}, {}, {}), task);
    };
    const auto expect = [&](const at::Tensor& got, const std::string& name) {
      expect_close(got, golden.at(name), 1e-12, name);
      patches.mutable_grad().reset();
      (got * noise("loss", got.sizes())).sum().backward();
      expect_close(patches.grad(), golden.at(name + ".gradient"), 1e-12, name + " gradient");
    };
    const std::string name = "top." + tasks[task].name;
    const TaskLabels labels = {repeat_for_rows(targets[task], kGoldenSalient),
                               repeat_for_rows(at::ones({3}, at::kDouble), kGoldenSalient)};
    expect(bag_means({heads.losses(rows(), labels, task, 0), kGoldenSalient}), name + ".loss");
    expect(heads.pool(rows(), kGoldenSalient, task), name + ".pooled");
    expect_close(heads.confidences(patches.unsqueeze(1)).select(1, task),
                 golden.at(name + ".confidence"), 1e-12, name);
  }
}

TEST(Heads, TokensBeyondTheTasksAreDealtInTurn) {
  std::vector<TaskOptions> tasks(2);
  tasks[0].name = "a";
  tasks[1].name = "b";
  for (TaskOptions& task : tasks) task.num_classes = 3;
  const Heads heads(tasks, 8, at::kDouble, 1);
  const at::Tensor tokens = noise("tokens", {4, 5, 8});
  const at::Tensor odd = (tokens.select(1, 1) + tokens.select(1, 3)) / 2;
  expect_close(heads.logits(tokens, 1), heads.logits(odd.unsqueeze(1), 1), 1e-14, "tokens 1 and 3");
}

TEST(Ragged, OneRowABagIsGivenBack) {
  const at::Tensor values = noise("values", {3, 2});
  EXPECT_TRUE(bag_means({values, {0, 1, 2, 3}}).is_same(values));
  EXPECT_TRUE(bag_maxima({values, {0, 1, 2, 3}}).is_same(values));
  EXPECT_TRUE(repeat_for_rows(values, {0, 1, 2, 3}).is_same(values));
  const at::Tensor rows = -1 - noise("rows", {6, 2}).abs();  // padding with 0 would win
  expect_close(bag_maxima({rows, {0, 2, 6}})[0], rows.slice(0, 0, 2).amax(0), 0, "ragged");
  expect_close(bag_maxima({rows, {0, 3, 6}})[1], rows.slice(0, 3, 6).amax(0), 0, "equal");
}

TEST(WholePictures, AreClassifiedAsByTorchvision) {
  const auto golden = read_golden("whole");
  for (const auto& [kind, width] : {std::pair{"resnet18", 512}, {"resnet50", 2048}}) {
    ModelOptions options;
    options.encoder = {.kind = kind, .width = width, .projector = "none"};
    options.aggregator.kind = "mean";
    options.tasks.resize(1);
    options.tasks[0].name = "label";
    options.tasks[0].num_classes = 5;
    Model model(options, at::kCPU, at::kFloat, 1);
    fill(model.encoder().parameters());
    const c10::NoGradGuard no_grad;
    model.heads().parameters().parameters()[0].tensor.copy_(golden_weight("fc.weight", {5, width}));
    model.heads().parameters().parameters()[1].tensor.copy_(golden_weight("fc.bias", {5}));
    const at::Tensor pictures = noise("patches.0", {2, 3, 40, 56}).to(at::kFloat);
    const at::Tensor tokens = model.aggregator().aggregate(
        {model.encoder().embed(pictures, {}), {0, 1, 2}}, {}, {}, {}, {});
    expect_close(model.heads().logits(tokens, 0), golden.at(kind), 1e-4, kind);
  }
}

}  // namespace
}  // namespace dbps::model

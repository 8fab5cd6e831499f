// Heads and losses against PyTorch's numbers.
#include "model/heads.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/golden.h"

namespace dbps::model {
namespace {

std::vector<TaskOptions> tasks() {
  std::vector<TaskOptions> all(3);
  all[0].name = "organ";
  all[0].classes = {"a", "b", "c", "d"};
  all[1].name = "finding";
  all[1].kind = TaskKind::kMultilabel;
  all[1].classes = {"a", "b", "c", "d"};
  all[2].name = "tumour";
  all[2].kind = TaskKind::kBinary;
  return all;
}

struct LossCase {
  std::string golden;
  int64_t task;
  double epsilon;
};

TEST(Heads, LossesAndGradientsToProbabilityZero) {
  const auto golden = read_golden("losses");
  const at::Tensor scale = at::tensor({1., 10., 120., 120., 30., 1.}, at::kDouble).unsqueeze(1);
  const at::Tensor classes = at::tensor({0, 3, 1, 2, 0, 1}, at::kLong);
  const at::Tensor binary =
      at::tensor({0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0},
                 at::kLong)
          .view({6, 4});
  const std::vector<at::Tensor> targets = {classes, binary, binary.select(1, 0)};
  const Heads heads(tasks(), 8, at::kDouble, 1);
  for (const LossCase& c : {LossCase{"multiclass", 0, 1e-6}, LossCase{"cross_entropy", 0, 0},
                            LossCase{"multilabel", 1, 1e-6}, LossCase{"binary", 2, 1e-6}}) {
    const int64_t outputs = c.task == 2 ? 1 : 4;
    const at::Tensor logits = (noise("logits", {6, outputs}) * scale).requires_grad_();
    const at::Tensor losses =
        heads.losses(logits, {targets[c.task], at::ones({6})}, c.task, c.epsilon);
    expect_close(losses, golden.at(c.golden + ".loss"), 1e-12, c.golden);
    (losses * noise("loss", {6})).sum().backward();
    expect_close(logits.grad(), golden.at(c.golden + ".gradient"), 1e-12, c.golden + " gradient");

    const at::Tensor single = logits.detach().to(at::kFloat);
    expect_close(
        heads.losses(single, {targets[c.task], at::ones({6})}, c.task, c.epsilon).isfinite(),
        at::ones({6}, at::kBool), 0, c.golden + " is finite in single precision");
  }
}

TEST(Heads, UnlabelledPicturesHaveAFiniteLoss) {
  const Heads heads(tasks(), 8, at::kDouble, 1);
  const at::Tensor target = at::tensor({-1, 2}, at::kLong);
  EXPECT_TRUE(heads.losses(noise("logits", {2, 4}), {target, at::ones({2})}, 0, 1e-6)
                  .isfinite()
                  .all()
                  .item<bool>());
}

TEST(Heads, TaskReadsItsTokenOrTheOnlyOne) {
  Heads heads(tasks(), 8, at::kDouble, 1);
  std::vector<std::string> names;
  for (const NamedTensor& named : heads.parameters().parameters()) names.push_back(named.name);
  EXPECT_EQ(names, (std::vector<std::string>{"organ.weight", "organ.bias", "finding.weight",
                                             "finding.bias", "tumour.weight", "tumour.bias"}));
  const at::Tensor tokens = noise("tokens", {2, 3, 8});
  for (int64_t task = 0; task < 3; ++task) {
    const at::Tensor weight = heads.parameters().parameters()[2 * task].tensor;
    const at::Tensor bias = heads.parameters().parameters()[2 * task + 1].tensor;
    const auto by_hand = [&](int64_t token) {
      return (tokens.select(1, token).unsqueeze(1) * weight).sum(2) + bias;
    };
    expect_close(heads.logits(tokens, task), by_hand(task), 1e-14, "own token");
    expect_close(heads.logits(tokens.slice(1, 0, 1), task), by_hand(0), 1e-14, "only token");
  }
}

TEST(Heads, Probabilities) {
  const Heads heads(tasks(), 8, at::kDouble, 1);
  const at::Tensor logits = noise("logits", {2, 4});
  expect_close(heads.probabilities(logits, 0), logits.exp() / logits.exp().sum(1, true), 1e-14,
               "multiclass");
  expect_close(heads.probabilities(logits, 1), 1 / (1 + (-logits).exp()), 1e-14, "multilabel");
}

}  // namespace
}  // namespace dbps::model

#include "training/labels.h"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include "base/error.h"

namespace dbps::training {
namespace {

std::vector<double> balanced_weights(const data::Dataset& dataset, int64_t task,
                                     const model::TaskOptions& options) {
  std::vector<double> counts(std::max<size_t>(options.classes.size(), 2), 0.0);
  double labelled = 0;
  for (const int64_t picture : dataset.of_split(data::Split::kTrain)) {
    const data::Label& label = dataset.pictures()[picture].labels[task];
    if (label.empty()) continue;
    counts[static_cast<size_t>(label[0])] += 1;
    labelled += 1;
  }
  std::vector<double> weights;
  for (size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] == 0) {
      throw ConfigError(fmt::format(
          "task.{}.class_weights = \"balanced\" needs a training picture of every class; class {} "
          "has "
          "none",
          options.name, c < options.classes.size() ? options.classes[c] : std::to_string(c)));
    }
    weights.push_back(labelled / (static_cast<double>(counts.size()) * counts[c]));
  }
  return weights;
}

}  // namespace

LabelWeights::LabelWeights(const data::Dataset& dataset,
                           const std::vector<model::TaskOptions>& tasks)
    : dataset_(dataset), tasks_(tasks) {
  for (size_t task = 0; task < tasks_.size(); ++task) {
    const bool weighted =
        tasks_[task].balanced_class_weights || !tasks_[task].class_weights.empty();
    if (weighted && tasks_[task].kind == model::TaskKind::kMultilabel) {
      throw ConfigError(fmt::format(
          "task.{}.class_weights: a multilabel picture has no single class to weigh it by",
          tasks_[task].name));
    }
    class_weights_.push_back(
        tasks_[task].balanced_class_weights
            ? balanced_weights(dataset, static_cast<int64_t>(task), tasks_[task])
            : tasks_[task].class_weights);
  }
}

double LabelWeights::weight(int64_t picture, int64_t task) const {
  const data::Label& label = dataset_.pictures()[picture].labels[task];
  if (label.empty()) return 0.0;
  const std::vector<double>& weights = class_weights_[task];
  if (weights.empty()) return 1.0;
  return weights[static_cast<size_t>(label[0])];
}

std::vector<double> LabelWeights::global_weights(const data::StepPlan& plan) const {
  std::vector<double> sums(tasks_.size(), 0.0);
  for (const std::vector<int64_t>& pictures : plan.micro_batches) {
    for (const int64_t picture : pictures) {
      for (size_t task = 0; task < sums.size(); ++task) {
        sums[task] += weight(picture, static_cast<int64_t>(task));
      }
    }
  }
  return sums;
}

model::TaskLabels LabelWeights::task_labels(const std::vector<int64_t>& pictures, int64_t task,
                                            const at::TensorOptions& options) const {
  const auto rows = static_cast<int64_t>(pictures.size());
  const bool multilabel = tasks_[task].kind == model::TaskKind::kMultilabel;
  const auto columns = multilabel ? static_cast<int64_t>(tasks_[task].classes.size()) : 1;
  at::Tensor target = at::zeros({rows, columns}, at::kDouble);
  at::Tensor weights = at::zeros({rows}, at::kDouble);
  for (int64_t row = 0; row < rows; ++row) {
    const data::Label& label = dataset_.pictures()[pictures[row]].labels[task];
    for (size_t c = 0; c < label.size(); ++c) {
      target.data_ptr<double>()[row * columns + static_cast<int64_t>(c)] = label[c];
    }
    weights.data_ptr<double>()[row] = weight(pictures[row], task);
  }
  if (!multilabel) target = target.squeeze(1);
  const bool class_index = tasks_[task].kind == model::TaskKind::kMulticlass;
  return {target.to(options.device(),
                    class_index ? at::kLong : c10::typeMetaToScalarType(options.dtype())),
          weights.to(options.device(), c10::typeMetaToScalarType(options.dtype()))};
}

ShareLoss share_loss(const model::Heads& heads, const std::vector<model::TaskOptions>& tasks,
                     const model::Ragged& tokens, const std::vector<int64_t>& pictures,
                     const LabelWeights& labels, const std::vector<double>& global_weights,
                     double epsilon) {
  double task_weights = 0;
  for (const model::TaskOptions& task : tasks) task_weights += task.weight;
  ShareLoss loss;
  loss.total = at::zeros({}, tokens.values.options());
  std::vector<at::Tensor> of_tasks;
  for (size_t i = 0; i < tasks.size(); ++i) {
    const auto task = static_cast<int64_t>(i);
    const model::TaskLabels task_labels =
        labels.task_labels(pictures, task, tokens.values.options());
    const model::TaskLabels of_rows = {model::repeat_for_rows(task_labels.target, tokens.offsets),
                                       model::repeat_for_rows(task_labels.weight, tokens.offsets)};
    const at::Tensor losses =
        heads.losses(heads.logits(tokens.values, task), of_rows, task, epsilon);
    const at::Tensor of_pictures = model::bag_means({losses, tokens.offsets});
    of_tasks.push_back((of_pictures * task_labels.weight.sign()).detach());
    if (global_weights[i] == 0.0) continue;
    loss.total = loss.total + (of_pictures * task_labels.weight).sum() *
                                  (tasks[i].weight / (task_weights * global_weights[i]));
  }
  loss.of_pictures = at::stack(of_tasks);
  return loss;
}

}  // namespace dbps::training

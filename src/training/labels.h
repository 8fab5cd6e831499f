// Labels of a micro-batch as the losses want them, and what they weigh in the global batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "data/plan.h"
#include "model/heads.h"
#include "model/options.h"
#include "model/ragged.h"

namespace dbps::training {

// Turns labels into targets and weights (runtime.md: a micro-batch's weight, task by task).
// Immutable after construction; borrows the dataset.
class LabelWeights {
 public:
  // Balanced class weights are n / (C n_c) over the labelled pictures of the training split.
  LabelWeights(const data::Dataset& dataset, const std::vector<model::TaskOptions>& tasks);

  // Class weight of a picture for a task: 1 without class weights, 0 when it is not labelled.
  double weight(int64_t picture, int64_t task) const;
  // Sum of the weights over a step's global batch, a task.
  std::vector<double> global_weights(const data::StepPlan& plan) const;
  // Targets and weights of `pictures` for one task.
  model::TaskLabels task_labels(const std::vector<int64_t>& pictures, int64_t task,
                                const at::TensorOptions& options) const;

 private:
  const data::Dataset& dataset_;
  std::vector<model::TaskOptions> tasks_;
  std::vector<std::vector<double>> class_weights_;  // a task; empty: 1
};

// Loss of the micro-batch's share, summed over labelled pictures and divided by the global weights,
// mean over tasks by their `weight`; also each picture's own loss, (tasks, B), detached. A picture
// with several rows of tokens (R, T, D) has the mean of their losses.
struct ShareLoss {
  at::Tensor total;
  at::Tensor of_pictures;
};
ShareLoss share_loss(const model::Heads& heads, const std::vector<model::TaskOptions>& tasks,
                     const model::Ragged& tokens, const std::vector<int64_t>& pictures,
                     const LabelWeights& labels, const std::vector<double>& global_weights,
                     double epsilon);

}  // namespace dbps::training

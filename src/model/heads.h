// One linear head a task, its probabilities and its loss (method.md 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/options.h"
#include "model/parameters.h"

namespace dbps::model {

// Labels of a micro-batch for one task. Rows without a label have weight 0.
struct TaskLabels {
  at::Tensor target;  // multiclass: (B) int64; binary: (B) of 0 / 1; multilabel: (B, C) of 0 / 1
  at::Tensor weight;  // (B): class weight of a labelled picture, 0 of an unlabelled one
};

class Heads {
 public:
  // Outputs: C for multiclass and multilabel, 1 for binary. Task i reads token i (or 0 when T = 1).
  Heads(const std::vector<TaskOptions>& tasks, int64_t width, at::TensorOptions tensor,
        int64_t seed);
  at::Tensor logits(const at::Tensor& tokens_BTD, int64_t task) const;  // (B, C or 1)
  // Softmax for multiclass (B, C); sigmoid for multilabel (B, C) and binary (B, 1).
  at::Tensor probabilities(const at::Tensor& logits, int64_t task) const;
  // Loss of each picture, (B), before weights: -log(softmax + epsilon) of its class for multiclass;
  // binary cross entropy with logarithms clamped at -100, mean over classes, otherwise.
  at::Tensor losses(const at::Tensor& logits, const TaskLabels& labels, int64_t task,
                    double epsilon) const;
  Parameters& parameters() { return parameters_; }  // "<task>.weight", "<task>.bias"

 private:
  std::vector<TaskOptions> tasks_;
  Parameters parameters_;
  std::vector<at::Tensor> weights_;
  std::vector<at::Tensor> biases_;
};

}  // namespace dbps::model

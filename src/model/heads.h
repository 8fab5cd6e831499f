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
  // Outputs: C for multiclass and multilabel, 1 for binary. Task i of K reads token i, or token 0
  // when T = 1, or the mean of tokens i, i + K, i + 2 K, ... when T > K.
  Heads(const std::vector<TaskOptions>& tasks, int64_t width, at::TensorOptions tensor,
        int64_t seed);
  at::Tensor logits(const at::Tensor& tokens_BTD, int64_t task) const;  // (B, C or 1)
  // Bags' logits (B, C or 1) from those of their rows (Aggregator::classifies_patches): the mean
  // for multiclass, the largest of each class otherwise, as sigmoid keeps the order. One row a bag:
  // as given.
  at::Tensor pool(const at::Tensor& logits, const std::vector<int64_t>& offsets,
                  int64_t task) const;
  // How sure the heads are of single patches (n, 1, D): the logarithm of the largest class
  // probability, (n, tasks).
  at::Tensor confidences(const at::Tensor& patches) const;
  // Softmax for multiclass (B, C); sigmoid for multilabel (B, C) and binary (B, 1).
  at::Tensor probabilities(const at::Tensor& logits, int64_t task) const;
  // Loss of each row, (B), before weights: -log(softmax + epsilon) of its class for multiclass;
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

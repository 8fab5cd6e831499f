// Optimisers over named parameters, and the paper's learning rate. One file and one registration
// each.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "optimization/options.h"

namespace dbps::optimization {

// Parameters that share a learning rate; names are those of the weights file.
struct Group {
  std::vector<std::pair<std::string, at::Tensor>> parameters;
  double learning_rate_scale = 1.0;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // Uses each parameter's grad(); parameters without one are left alone.
  virtual void step(double learning_rate) = 0;
  // State by name ("<parameter>.exp_avg", ...); the tensors are shared with the optimiser, so that
  // a checkpoint reads from them and a resume copies into them. Complete before the first step.
  virtual std::vector<std::pair<std::string, at::Tensor>> state() const = 0;
};

const std::vector<std::string>& optimizer_kinds();
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          std::vector<Group> groups);

// Learning rate of optimiser step s (1-based) of `total` (method.md 3). `warmup` <= `total`.
double learning_rate(const OptimizerOptions& options, int64_t step, int64_t warmup, int64_t total);

// Scales gradients in place so that their global 2-norm is at most `max_norm`; returns the norm
// before.
double clip_gradients(const std::vector<Group>& groups, double max_norm);

}  // namespace dbps::optimization

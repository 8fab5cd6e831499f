// AdamW (Loshchilov and Hutter, 2019) on LibTorch's fused kernel.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "optimization/optimizers.h"

namespace dbps::optimization {
namespace {

class AdamW final : public Optimizer {
 public:
  AdamW(const OptimizerOptions& options, const std::vector<Group>& groups) : options_(options) {
    for (const Group& group : groups) {
      groups_.push_back({{}, group.learning_rate_scale});
      for (const auto& [name, parameter] : group.parameters) {
        // The kernel wants the step where the parameter is, in fp32.
        groups_.back().slots.push_back(
            {name, parameter, at::zeros_like(parameter, parameter.options().requires_grad(false)),
             at::zeros_like(parameter, parameter.options().requires_grad(false)),
             at::zeros({}, parameter.options().dtype(at::kFloat).requires_grad(false))});
      }
    }
  }

  void step(double learning_rate) override {
    const c10::NoGradGuard no_grad;
    for (const SlotGroup& group : groups_) {
      std::vector<at::Tensor> parameters, gradients, averages, squares, steps;
      for (const Slot& slot : group.slots) {
        const at::Tensor& gradient = slot.parameter.grad();
        if (!gradient.defined()) continue;
        parameters.push_back(slot.parameter);
        // The kernel walks raw memory: a gradient of another layout is laid out as its parameter.
        gradients.push_back(gradient.strides() == slot.parameter.strides()
                                ? gradient
                                : at::empty_like(slot.parameter).copy_(gradient));
        averages.push_back(slot.average);
        squares.push_back(slot.square);
        steps.push_back(slot.steps);
      }
      if (parameters.empty()) continue;
      at::_foreach_add_(steps, 1);
      at::_fused_adamw_(parameters, gradients, averages, squares, /*max_exp_avg_sqs=*/{}, steps,
                        learning_rate * group.learning_rate_scale, options_.betas[0],
                        options_.betas[1], options_.weight_decay, options_.epsilon,
                        /*amsgrad=*/false, /*maximize=*/false);
    }
  }

  std::vector<std::pair<std::string, at::Tensor>> state() const override {
    std::vector<std::pair<std::string, at::Tensor>> all;
    for (const SlotGroup& group : groups_) {
      for (const Slot& slot : group.slots) {
        all.emplace_back(slot.name + ".exp_avg", slot.average);
        all.emplace_back(slot.name + ".exp_avg_sq", slot.square);
        all.emplace_back(slot.name + ".step", slot.steps);
      }
    }
    return all;
  }

 private:
  struct Slot {
    std::string name;
    at::Tensor parameter;
    at::Tensor average;  // of gradients
    at::Tensor square;   // of their squares
    at::Tensor steps;
  };
  struct SlotGroup {
    std::vector<Slot> slots;
    double learning_rate_scale;
  };
  OptimizerOptions options_;
  std::vector<SlotGroup> groups_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(const OptimizerOptions& options, std::vector<Group> groups) {
  return std::make_unique<AdamW>(options, groups);
}

}  // namespace dbps::optimization

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "optimization/optimizer.h"

namespace dbps::optimization {

double clip_gradients(const std::vector<Group>& groups, double max_norm) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const Group& group : groups) {
    for (const auto& [name, parameter] : group.parameters) {
      if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    }
  }
  if (gradients.empty()) return 0;
  const double norm = at::stack(at::_foreach_norm(gradients)).norm().item<double>();
  // A norm that is not finite is the caller's to report; scaling would spread it.
  if (std::isfinite(norm) && norm > max_norm) at::_foreach_mul_(gradients, max_norm / norm);
  return norm;
}

}  // namespace dbps::optimization

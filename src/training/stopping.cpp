#include "training/stopping.h"

#include <ATen/ATen.h>

namespace dbps::training {

void stop_together(distributed::Collectives* group, const std::function<void()>& work) {
  if (group == nullptr) return work();
  bool stop = false;
  try {
    work();
  } catch (const StopRequested&) {
    stop = true;
  }
  const at::Tensor stopping = at::full({1}, stop ? 1 : 0, at::kLong);
  if (distributed::sum(*group, stopping).item<int64_t>() > 0) throw StopRequested();
}

}  // namespace dbps::training

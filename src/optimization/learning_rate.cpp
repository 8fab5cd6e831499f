#include <cmath>

#include "base/error.h"
#include "optimization/optimizer.h"

namespace dbps::optimization {

double learning_rate(const OptimizerOptions& options, int64_t step, int64_t warmup, int64_t total) {
  DBPS_CHECK(1 <= step && step <= total && 0 <= warmup && warmup <= total,
             "the learning rate is asked for a step outside the run");
  constexpr double kFloor = 0.001;  // of the full rate, at the last step
  const double full = options.learning_rate;
  if (step < warmup) return full * static_cast<double>(step) / static_cast<double>(warmup);
  if (options.schedule == ScheduleKind::kConstant || step == warmup) return full;
  const double progress = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
  const double k = (1 + std::cos(M_PI * progress)) / 2;
  return full * (k + kFloor * (1 - k));
}

}  // namespace dbps::optimization

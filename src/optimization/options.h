// The table [optimizer].
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace dbps::optimization {

enum class ScheduleKind { kCosine, kConstant };

struct OptimizerOptions {
  std::string kind = "adamw";
  double learning_rate = 1e-4;
  double weight_decay = 0.1;
  std::array<double, 2> betas = {0.9, 0.999};
  double epsilon = 1e-8;
  ScheduleKind schedule = ScheduleKind::kCosine;
  double warmup_epochs = 10;
  int64_t warmup_steps = 0;  // instead of warmup_epochs when positive
  double clip_norm = 0;      // 0: off
};

}  // namespace dbps::optimization

// How many steps a run has.
#pragma once

#include <cstdint>

#include "config/config.h"
#include "data/dataset.h"

namespace dbps::training {

struct Schedule {
  int64_t steps_per_epoch = 0;
  int64_t total_steps = 0;
  int64_t warmup_steps = 0;  // optimizer.warmup_steps, or that many epochs of it, rounded
};
Schedule make_schedule(const config::Config& config, const data::Dataset& dataset);

}  // namespace dbps::training

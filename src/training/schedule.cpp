#include "training/schedule.h"

#include <cmath>

namespace dbps::training {

Schedule make_schedule(const config::Config& config, const data::Dataset& dataset) {
  const auto pictures = static_cast<int64_t>(dataset.of_split(data::Split::kTrain).size());
  const int64_t batch = config.training.batch_size_global;
  Schedule schedule;
  schedule.steps_per_epoch = (pictures + batch - 1) / batch;
  schedule.total_steps = schedule.steps_per_epoch * config.training.epochs;
  schedule.warmup_steps = config.optimizer.warmup_steps > 0
                              ? config.optimizer.warmup_steps
                              : std::llround(config.optimizer.warmup_epochs *
                                             static_cast<double>(schedule.steps_per_epoch));
  return schedule;
}

}  // namespace dbps::training

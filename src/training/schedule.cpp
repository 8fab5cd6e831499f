#include "training/schedule.h"

#include <cmath>

#include "data/plan.h"

namespace dbps::training {

Schedule make_schedule(const config::Config& config, const data::Dataset& dataset) {
  Schedule schedule;
  schedule.steps_per_epoch = data::steps_per_epoch(dataset, dataset.of_split(data::Split::kTrain),
                                                   config.training.batch_size_global);
  schedule.total_steps = schedule.steps_per_epoch * config.training.epochs;
  schedule.warmup_steps = config.optimizer.warmup_steps > 0
                              ? config.optimizer.warmup_steps
                              : std::llround(config.optimizer.warmup_epochs *
                                             static_cast<double>(schedule.steps_per_epoch));
  return schedule;
}

}  // namespace dbps::training

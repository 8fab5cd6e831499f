// The plan of an epoch: which pictures make which step, and which micro-batch of it. A function of
// configuration, seed and epoch alone: not of ranks, threads or how far the run has come.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace dbps::data {

struct StepPlan {
  // pictures()-indices of each micro-batch; always `micro_batches` of them, the last step's may be
  // short or empty.
  std::vector<std::vector<int64_t>> micro_batches;
  // Of the same shape: how often the epoch has drawn that picture before. 0 but for sampling
  // "balanced".
  std::vector<std::vector<int64_t>> occurrences;
};

struct PlanOptions {
  int64_t seed = 0;
  int64_t batch_size_global = 16;
  int64_t micro_batches = 1;
  bool shuffle = true;
  Sampling sampling = Sampling::kNatural;
};

// Training. `patches` holds the number of kept patches of each picture of `pictures` (same order),
// for cutting uneven bags into shares of equal work.
std::vector<StepPlan> plan_epoch(const Dataset& dataset, const std::vector<int64_t>& pictures,
                                 const std::vector<int64_t>& patches, const PlanOptions& options,
                                 int64_t epoch);

// Evaluation: every picture once, in order, in batches of `batch_size` that do not depend on the
// ranks, so that neither does the outcome; those of `rank` only.
std::vector<std::vector<int64_t>> plan_evaluation(const std::vector<int64_t>& pictures,
                                                  int64_t batch_size, int rank, int world_size);

}  // namespace dbps::data

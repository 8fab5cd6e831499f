// The plan of an epoch: which pictures make which step, and which micro-batch of it. A function of
// configuration, data, seed and epoch alone: not of ranks, nodes, threads or how far the run has
// come.
//
// Where the data set has several homes, each step takes the same number of pictures from each, and
// its micro-batches belong to the homes in equal parts, in their order. Pictures of about the same
// number of patches come from all homes together, at random where they are equal. A home with fewer
// pictures than another gives fewer to some steps.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "data/homes.h"

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
// for cutting uneven bags into shares of equal work. With sampling "balanced", each home draws its
// own classes equally often. The homes divide batch size and micro-batches.
std::vector<StepPlan> plan_epoch(const Dataset& dataset, const std::vector<int64_t>& pictures,
                                 const std::vector<int64_t>& patches, const PlanOptions& options,
                                 int64_t epoch);

// The number of its steps.
int64_t steps_per_epoch(const Dataset& dataset, const std::vector<int64_t>& pictures,
                        int64_t batch_size_global);

// Evaluation: every picture once, home by home and in order, in batches of `batch_size` that do not
// depend on the readers, so that neither does the outcome; those of one reader only.
std::vector<std::vector<int64_t>> plan_evaluation(const Dataset& dataset,
                                                  const std::vector<int64_t>& pictures,
                                                  int64_t batch_size, const ReaderPlace& reader);

}  // namespace dbps::data

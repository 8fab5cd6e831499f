// One optimiser step (method.md 1), over the micro-batches that this rank hosts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "data/plan.h"
#include "distributed/reducer.h"
#include "distributed/watchdog.h"
#include "distributed/world.h"
#include "model/model.h"
#include "optimization/optimizer.h"
#include "training/labels.h"
#include "training/pass.h"

namespace dbps::training {

// What a step reports; sums are over the global batch, times are this rank's.
struct StepResult {
  bool dropped = false;  // a rank was asked to stop in mid-step: nothing has changed
  bool stop = false;     // a rank was asked to stop
  double loss = 0;
  double learning_rate = 0;
  int64_t images = 0;
  int64_t patches_scanned = 0;
  int64_t bytes_read = 0;       // encoded, of the stores
  int64_t bytes_staged = 0;     // of them from copies on the reading ranks' own nodes
  int64_t bytes_exchanged = 0;  // chosen patches, in sums over patch groups, of all ranks
  int64_t bytes_reduced = 0;    // that a rank gives into sums over all; 0 of one rank
  double seconds = 0;
  double read_wait = 0;                  // seconds of phase "read" in which no batch was ready
  int64_t device_bytes_peak = 0;         // of tensors on the device (device_memory.h)
  std::map<std::string, double> phases;  // read, scan, forward, backward, reduce, optimizer
};

// Where a step stands in the run.
struct StepPlace {
  int64_t step = 0;        // 0-based, over the whole run
  int64_t epoch = 0;       // 0-based
  double exploration = 0;  // t of demo.md
};

// Supplies the host batch of this rank's next micro-batch.
using NextBatch = std::function<data::HostBatch()>;

// Borrows everything it is given; `group` is of this rank's patch group, whose ranks host the same
// micro-batches. Collective: every rank calls run() for the same steps.
class TrainingStep {
 public:
  TrainingStep(const config::Config& config, const data::Dataset& dataset, model::Model& model,
               optimization::Optimizer& optimizer, distributed::World& world,
               distributed::Collectives& collectives, distributed::Collectives& group,
               distributed::Watchdog& watchdog);
  ~TrainingStep();

  // Throws Error(70) naming step, task and pictures when the loss or a gradient is not finite; the
  // weights are then those from before the step.
  StepResult run(const data::StepPlan& plan, const StepPlace& place, double learning_rate,
                 const NextBatch& next_batch);

  Pass& pass() { return pass_; }

 private:
  struct Sums;  // what is reduced beside the gradients
  selection::Selection select(const data::HostBatch& batch, const data::DevicePatches& patches,
                              const StepPlace& place, StepResult& result);
  void run_micro_batch(const std::vector<int64_t>& pictures, int64_t micro_batch,
                       const StepPlace& place, const std::vector<double>& global_weights,
                       const NextBatch& next_batch, Sums& sums, StepResult& result);
  void check_finite(const Sums& sums, double gradient_norm, const StepPlace& place);
  void count_losses(const at::Tensor& of_pictures, const data::HostBatch& batch, Sums& sums) const;

  const config::Config& config_;
  const data::Dataset& dataset_;
  model::Model& model_;
  optimization::Optimizer& optimizer_;
  distributed::World& world_;
  distributed::Watchdog& watchdog_;
  const distributed::PatchGroup place_;
  LabelWeights labels_;
  Pass pass_;
  optimization::Group trained_;  // the parameters that train
  std::unique_ptr<distributed::GradientReducer> reducer_;
};

}  // namespace dbps::training

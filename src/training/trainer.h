// A training run from its first step, or from its last checkpoint, to its report.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "config/config.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "distributed/collectives.h"
#include "distributed/watchdog.h"
#include "distributed/world.h"
#include "model/model.h"
#include "optimization/optimizer.h"
#include "training/recorder.h"
#include "training/run_folder.h"
#include "training/run_state.h"
#include "training/schedule.h"
#include "training/step.h"

namespace dbps::training {

// What a run stands on; all of it is borrowed by the Trainer and outlives it.
struct Session {
  const config::Config& config;  // resolved
  const data::Dataset& dataset;
  distributed::World& world;
  distributed::Collectives& collectives;
  distributed::Collectives& group;  // of this rank's patch group
  distributed::Watchdog& watchdog;
  at::Device device;
  RunFolder folder;
};

// Collective throughout: every rank constructs one and calls run().
class Trainer {
 public:
  Trainer(const Session& session);
  ~Trainer();

  // Takes over a checkpoint's weights, optimiser and state. Rank 0 passes it, the others nullptr.
  void restore(const checkpoint::Loaded* loaded);

  // Trains until the last epoch, or early stopping. Throws Stopped after a signal, once all is
  // saved. Rank 0 has written everything when it returns, the report excepted.
  void run();

  // Takes the first step and keeps nothing: for --dry-run.
  StepResult rehearse();

  const RunState& state() const { return state_; }
  int64_t steps_per_epoch() const { return schedule_.steps_per_epoch; }

 private:
  // Reads the micro-batches of this rank for the steps of `epoch` from `first_step` (0-based in it)
  // on.
  std::unique_ptr<data::Loader> make_loader(const std::vector<data::StepPlan>& steps, int64_t epoch,
                                            int64_t first_step) const;
  bool run_epoch(int64_t epoch);  // false: asked to stop
  bool finish_epoch(int64_t epoch);
  // Writes into the run's folder; what cannot be written ends the run with a line that also says
  // which checkpoint stands.
  void record(const std::function<void(Recorder&)>& write);
  void note_step(const StepResult& result, int64_t epoch);
  void note_evaluation(const Evaluation& evaluation, int64_t epoch);
  void warn_when_guessing(int64_t epoch);
  bool patience_spent(int64_t epoch) const;
  bool save_due(bool epoch_ends) const;
  void save(bool best);
  void draw_maps(const Evaluation& evaluation, int64_t epoch) const;
  std::vector<data::StepPlan> plan(int64_t epoch) const;
  double learning_rate(int64_t step) const;
  double exploration(int64_t step) const;
  void stop();
  std::vector<std::pair<std::string, at::Tensor>> model_tensors() const;

  Session session_;
  model::Model model_;
  std::unique_ptr<optimization::Optimizer> optimizer_;
  std::unique_ptr<TrainingStep> step_;
  RunState state_;
  std::unique_ptr<checkpoint::Manager> checkpoints_;  // rank 0
  std::unique_ptr<Recorder> recorder_;
  Schedule schedule_;
  std::optional<store::Settings> slides_;  // of tiles and features
  std::vector<int64_t> kept_patches_;      // of each training picture
  double last_save_seconds_ = 0;
  double epoch_seconds_ = 0;  // of the steps that this process has done of the epoch
  double epoch_read_wait_ = 0;
};

}  // namespace dbps::training

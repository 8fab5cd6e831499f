// What a run tells people and machines as it goes: metrics.jsonl, TensorBoard, each rank's log.
#pragma once

#include <memory>
#include <string>

#include "config/config.h"
#include "report/sinks.h"
#include "training/evaluation.h"
#include "training/run_folder.h"
#include "training/run_state.h"
#include "training/step.h"

namespace dbps::training {

// Rank 0 writes metrics.jsonl and TensorBoard events; every rank its own logs/rank-N.jsonl. All
// calls are cheap and local. metrics.jsonl and the events are cut back to `state`'s lengths on
// construction, so that a resumed run goes on without a gap and without a line twice.
class Recorder {
 public:
  Recorder(const RunFolder& folder, const config::Config& config, const RunState& state, int rank);

  void step(const StepResult& result, int64_t epoch, int64_t step);
  void evaluation(const Evaluation& evaluation, const std::string& split, int64_t epoch,
                  int64_t step);
  void checkpoint(const std::string& name, int64_t step, bool best);
  void resumed(int64_t step, int ranks);
  void end(const RunState& state, const std::string& monitor);

  // Records the lengths written so far, once they are on the disk.
  void note_lengths(RunState& state) const;

 private:
  const config::Config& config_;
  std::unique_ptr<report::JsonlSink> metrics_;            // rank 0
  std::unique_ptr<report::TensorBoardSink> tensorboard_;  // rank 0, when asked
  std::unique_ptr<report::JsonlSink> rank_log_;
};

}  // namespace dbps::training

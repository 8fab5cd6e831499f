// The model on a whole split: every picture once, whatever the number of ranks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "data/dataset.h"
#include "distributed/watchdog.h"
#include "distributed/world.h"
#include "model/model.h"
#include "report/metrics.h"
#include "training/pass.h"
#include "training/prediction.h"

namespace dbps::training {

struct TaskEvaluation {
  std::map<std::string, double> metrics;
  std::vector<std::vector<int64_t>> confusion;      // rows: truth; empty for multilabel
  std::vector<report::CalibrationBin> calibration;  // empty for multilabel
};

// What prediction took on this rank, reading and decoding not counted.
// Over all ranks: of the slowest among those with the largest batch.
struct InferenceCost {
  int64_t batch = 0;           // pictures, of the largest batch
  double seconds_a_batch = 0;  // the median over batches of that size; the first warms up and is
                               // left out where there are others
  int64_t bytes_peak = 0;      // of tensors on the device, the model's included (device_memory.h)
};

struct Evaluation {
  double loss = 0;                      // mean over labelled pictures, mean over tasks
  std::vector<TaskEvaluation> tasks;    // in the order of the configuration
  std::vector<Prediction> predictions;  // in the order of `pictures`, the same on every rank
  InferenceCost cost;
};

// The loss of one picture, the mean over the tasks it is labelled for, by their weights.
double loss_of(const config::Config& config, const data::Picture& picture,
               const Prediction& prediction);

// Collective. nullopt on every rank when one of them was asked to stop. Patch groups share the
// pictures; each picture is predicted by one, and metrics come from all of them together. Where the
// run draws maps of slides (run_maps.h), predictions hold their attention on the rank that made
// them.
std::optional<Evaluation> evaluate(const config::Config& config, const data::Dataset& dataset,
                                   const std::vector<int64_t>& pictures, model::Model& model,
                                   Pass& pass, distributed::World& world,
                                   distributed::Watchdog& watchdog, const std::string& label);

// The value that `validation.monitor` names ("accuracy", "<task>.auc", "loss"); NaN where it is
// undefined on these pictures (an AUC with one class).
double monitored(const config::Config& config, const Evaluation& evaluation);
// Whether more is better: true for all but "loss".
bool higher_is_better(const std::string& monitor);

// `predictions-<split>.csv`: id, patient, truth and a probability a class; with several tasks the
// columns stand as "<task>:<name>". Whole or absent.
void write_predictions(const std::filesystem::path& path, const config::Config& config,
                       const data::Dataset& dataset, const Evaluation& evaluation);

}  // namespace dbps::training

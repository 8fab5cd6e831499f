// What a run's folder says, read for its report. Missing or half-written files leave gaps, never
// fail.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "report/metrics.h"

namespace dbps::report {

// Figures that an event lacks, or holds as null, are NaN.
struct StepEvent {
  double epoch = 0;
  double step = 0;
  double loss = 0;
  double learning_rate = 0;
  double images = 0;
  double seconds = 0;
  double device_bytes_peak = 0;
  double read_wait = 0;                  // seconds in which no batch was ready
  std::map<std::string, double> phases;  // seconds
};

struct ConfusionMatrix {
  std::vector<std::string> classes;
  std::vector<std::vector<int64_t>> counts;  // rows: truth
};

struct EvaluationEvent {
  double epoch = 0;
  double step = 0;
  double loss = 0;
  std::string split;
  std::map<std::string, std::map<std::string, double>> tasks;      // task -> metric -> value
  std::map<std::string, ConfusionMatrix> confusion;                // by task
  std::map<std::string, std::vector<CalibrationBin>> calibration;  // by task
};

// One task of a predictions-<split>.csv: multiclass or binary.
struct Predictions {
  std::string split;
  std::string task;     // "" where the file holds one task
  TaskOutputs outputs;  // rows without a truth left out
};

// What figures are of, for people: "digit, test split", "digit, validation split, epoch 3".
std::string title_of(const Predictions& predictions);
std::string title_of(const EvaluationEvent& event, const std::string& task);

struct Run {
  std::string name;                                             // the folder's
  std::string config;                                           // config.toml as it stands
  std::vector<std::pair<std::string, std::string>> provenance;  // flattened: "gpu.name", "A100"
  std::vector<StepEvent> steps;
  std::vector<EvaluationEvent> evaluations;
  std::vector<Predictions> predictions;
  std::vector<std::filesystem::path> maps;  // of `eval`, then of the latest epoch, by name
  int64_t maps_epoch = -1;                  // -1: their folder tells none
  int64_t resumes = 0;
  bool ended = false;
  double seconds = 0;  // of the whole run, from its end
  double best_epoch = 0;
  double best_value = 0;
  std::string best_metric;
  std::vector<std::string> remarks;  // what could not be read, for people
};

// Throws DataError when `folder` holds none of config.toml, provenance.json and metrics.jsonl.
Run read_run(const std::filesystem::path& folder);

}  // namespace dbps::report

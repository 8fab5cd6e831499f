#include "training/recorder.h"

#include <nlohmann/json.hpp>

#include "base/files.h"

namespace dbps::training {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

Recorder::Recorder(const RunFolder& folder, const config::Config& config, const RunState& state,
                   int rank)
    : config_(config) {
  make_folders(folder.rank_log(rank).parent_path());
  rank_log_ = std::make_unique<report::JsonlSink>(folder.rank_log(rank), -1);
  if (rank != 0) return;
  metrics_ = std::make_unique<report::JsonlSink>(folder.metrics(), state.metrics_bytes);
  if (config.report.tensorboard) {
    tensorboard_ = std::make_unique<report::TensorBoardSink>(folder.path, state.tensorboard_bytes);
  }
}

void Recorder::step(const StepResult& result, int64_t epoch, int64_t step) {
  Json json;
  json["event"] = "step";
  json["epoch"] = epoch;
  json["step"] = step;
  json["loss"] = result.loss;
  json["learning_rate"] = result.learning_rate;
  json["images"] = result.images;
  json["patches_scanned"] = result.patches_scanned;
  json["seconds"] = result.seconds;
  json["read_wait"] = result.read_wait;
  json["phases"] = result.phases;
  json["bytes"] = {{"read", result.bytes_read},
                   {"staged", result.bytes_staged},
                   {"exchanged", result.bytes_exchanged},
                   {"reduced", result.bytes_reduced}};
  json["device_bytes_peak"] = result.device_bytes_peak;
  rank_log_->write(json.dump());
  if (metrics_) metrics_->write(json.dump());
  if (tensorboard_) {
    tensorboard_->scalar("train/loss", step, result.loss);
    tensorboard_->scalar("train/learning_rate", step, result.learning_rate);
    tensorboard_->scalar("train/seconds", step, result.seconds);
    tensorboard_->scalar("train/read_wait", step, result.read_wait);
  }
}

void Recorder::evaluation(const Evaluation& evaluation, const std::string& split, int64_t epoch,
                          int64_t step) {
  if (!metrics_) return;
  Json json;
  json["event"] = "evaluation";
  json["epoch"] = epoch;
  json["step"] = step;
  json["split"] = split;
  json["loss"] = evaluation.loss;
  for (size_t i = 0; i < config_.tasks.size(); ++i) {
    const model::TaskOptions& task = config_.tasks[i];
    json["tasks"][task.name] = evaluation.tasks[i].metrics;
    if (!evaluation.tasks[i].confusion.empty()) {
      json["confusion"][task.name] = {{"classes", task.classes},
                                      {"counts", evaluation.tasks[i].confusion}};
    }
    for (const report::CalibrationBin& bin : evaluation.tasks[i].calibration) {
      json["calibration"][task.name].push_back(
          {{"pictures", bin.pictures}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}});
    }
    if (!tensorboard_) continue;
    for (const auto& [metric, value] : evaluation.tasks[i].metrics) {
      tensorboard_->scalar(split + "/" + task.name + "/" + metric, step, value);
    }
  }
  if (tensorboard_) tensorboard_->scalar(split + "/loss", step, evaluation.loss);
  metrics_->write(json.dump());
}

void Recorder::checkpoint(const std::string& name, int64_t step, bool best) {
  if (!metrics_) return;
  metrics_->write(
      Json{{"event", "checkpoint"}, {"step", step}, {"name", name}, {"best", best}}.dump());
}

void Recorder::resumed(int64_t step, int ranks) {
  if (metrics_) {
    metrics_->write(Json{{"event", "resume"}, {"step", step}, {"ranks", ranks}}.dump());
  }
}

void Recorder::end(const RunState& state, const std::string& monitor) {
  if (!metrics_) return;
  Json json = {{"event", "end"}, {"step", state.step}, {"seconds", state.seconds}};
  if (state.best.step >= 0) {
    json["best"] = {{"step", state.best.step},
                    {"epoch", state.best.epoch},
                    {"metric", monitor},
                    {"value", state.best.value}};
  }
  metrics_->write(json.dump());
}

void Recorder::note_lengths(RunState& state) const {
  if (metrics_) {
    metrics_->sync();
    state.metrics_bytes = metrics_->bytes();
  }
  if (tensorboard_) {
    tensorboard_->sync();
    state.tensorboard_bytes = tensorboard_->bytes();
  }
}

}  // namespace dbps::training

#include "training/run_state.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace dbps::training {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kStateVersion = 1;

}  // namespace

std::string to_json(const RunState& state) {
  Json json;
  json["version"] = kStateVersion;
  json["step"] = state.step;
  json["evaluated_epochs"] = state.evaluated_epochs;
  json["best"] = {
      {"step", state.best.step}, {"epoch", state.best.epoch}, {"value", state.best.value}};
  json["epoch_loss_sum"] = state.epoch_loss_sum;
  json["epoch_loss_steps"] = state.epoch_loss_steps;
  json["guessing_epochs"] = state.guessing_epochs;
  json["steps_per_epoch"] = state.steps_per_epoch;
  json["finished"] = state.finished;
  json["patience_spent"] = state.patience_spent;
  json["metrics_bytes"] = state.metrics_bytes;
  json["tensorboard_bytes"] = state.tensorboard_bytes;
  json["seconds"] = state.seconds;
  json["store_fingerprint"] = state.store_fingerprint;
  json["labels_hash"] = state.labels_hash;
  json["config"] = state.config;
  return json.dump(1) + "\n";
}

RunState run_state_from_json(const std::string& text, const std::string& name) {
  try {
    const Json json = Json::parse(text);
    if (json.at("version").get<int>() != kStateVersion) {
      throw DataError(fmt::format("{}: state version {}, but this program reads {}", name,
                                  json.at("version").get<int>(), kStateVersion));
    }
    RunState state;
    state.step = json.at("step").get<int64_t>();
    state.evaluated_epochs = json.at("evaluated_epochs").get<int64_t>();
    state.best.step = json.at("best").at("step").get<int64_t>();
    state.best.epoch = json.at("best").at("epoch").get<int64_t>();
    state.best.value = json.at("best").at("value").get<double>();
    state.epoch_loss_sum = json.at("epoch_loss_sum").get<double>();
    state.epoch_loss_steps = json.at("epoch_loss_steps").get<int64_t>();
    state.guessing_epochs = json.at("guessing_epochs").get<int64_t>();
    state.steps_per_epoch = json.at("steps_per_epoch").get<int64_t>();
    state.finished = json.at("finished").get<bool>();
    state.patience_spent = json.at("patience_spent").get<bool>();
    state.metrics_bytes = json.at("metrics_bytes").get<int64_t>();
    state.tensorboard_bytes = json.at("tensorboard_bytes").get<int64_t>();
    state.seconds = json.at("seconds").get<double>();
    state.store_fingerprint = json.at("store_fingerprint").get<std::string>();
    state.labels_hash = json.at("labels_hash").get<std::string>();
    state.config = json.at("config").get<std::string>();
    return state;
  } catch (const Json::exception& error) {
    throw DataError(fmt::format("{}: not a run's state: {}", name, error.what()));
  }
}

}  // namespace dbps::training

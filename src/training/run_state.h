// How far a run has come: the content of a checkpoint's state.json.
#pragma once

#include <cstdint>
#include <string>

namespace dbps::training {

struct Best {
  int64_t step = -1;  // -1: none yet
  int64_t epoch = 0;  // 1-based
  double value = 0;
};

struct RunState {
  int64_t step = 0;              // optimiser steps done
  int64_t evaluated_epochs = 0;  // epochs whose evaluation, where one was due, is done
  Best best;
  double epoch_loss_sum = 0;  // of the steps of the epoch under way
  int64_t epoch_loss_steps = 0;
  int64_t guessing_epochs = 0;  // latest epochs in a row whose loss stayed at the level of guessing
  int64_t steps_per_epoch = 0;
  bool finished = false;        // by its last epoch, or
  bool patience_spent = false;  // earlier, by validation.patience_epochs
  int64_t metrics_bytes = 0;    // length of metrics.jsonl
  int64_t tensorboard_bytes = 0;
  double seconds = 0;  // of training, over all sessions
  std::string config;  // the resolved configuration, TOML
  std::string store_fingerprint;
  std::string labels_hash;
};

std::string to_json(const RunState& state);
// Throws DataError with `name` at its start.
RunState run_state_from_json(const std::string& json, const std::string& name);

}  // namespace dbps::training

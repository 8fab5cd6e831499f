// What the model says of pictures it is shown: evaluation's and `predict`'s work on one batch.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/config.h"
#include "data/batch.h"
#include "model/model.h"
#include "training/pass.h"

namespace dbps::training {

struct SelectedPatch {
  int64_t index = 0;  // row-major place in the grid
  double x = 0;       // top-left corner in pixels of the source
  double y = 0;
  double score = 0;  // head-mean attention it was ranked by
};

struct Prediction {
  int64_t picture = 0;  // HostBag::picture
  std::vector<std::vector<double>>
      probabilities;                   // a task: one a class, binary: of the positive one
  std::vector<SelectedPatch> salient;  // best first
  std::vector<SelectedPatch> sub_salient;
  double patch_width = 0;  // pixels of the source
  double patch_height = 0;
  // Where it was asked for: the attention of every patch, by its place among the bag's rows
  // (selection::Selection::attention). Stays on the rank that predicted.
  std::vector<float> attention;
};

// Borrows model, pass and config.
class Predictor {
 public:
  // `attention`: fill in Prediction::attention, where the selection scans.
  Predictor(const config::Config& config, model::Model& model, Pass& pass, bool attention = false);

  // One prediction a bag, in order. `between_steps` is called between scan steps; it may throw.
  // `waits` as of selection::Request. Collective over the pass's group.
  std::vector<Prediction> predict(const data::HostBatch& batch,
                                  const std::function<void()>& between_steps,
                                  const std::function<void(bool)>& waits = {});

 private:
  const config::Config& config_;
  model::Model& model_;
  Pass& pass_;
  bool attention_;
};

// "multiclass" | "multilabel" | "binary".
const char* task_kind_name(model::TaskKind kind);

}  // namespace dbps::training

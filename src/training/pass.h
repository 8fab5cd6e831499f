// One batch of bags on its way through the model: scan, select, re-embed, aggregate
// (method.md 1, steps 4 to 7). Training, evaluation and prediction all go this way.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

#include "data/batch.h"
#include "model/model.h"
#include "model/ragged.h"
#include "selection/options.h"
#include "selection/selector.h"

namespace dbps::training {

// What the encoder computes in, in the scan and in the pass after it.
struct ComputeTypes {
  at::ScalarType scan = at::kFloat;
  at::ScalarType pass = at::kFloat;
};

// Borrows the model. Owns the scan's copy of its encoder. Not thread-safe.
class Pass {
 public:
  Pass(model::Model& model, const selection::SelectionOptions& options, ComputeTypes types);

  // Takes the encoder's present weights and running statistics over into the scan's copy.
  void refresh();

  // Without gradient: which patches of each bag are salient and which sub-salient.
  selection::Selection select(const data::HostBatch& batch, const data::DevicePatches& patches,
                              const selection::Request& request);

  // Embeds the salient patches with the encoder itself, whatever forward.compute_type says in
  // ComputeTypes::pass, and aggregates them with the sub-salient
  // embeddings: tokens (R, T, D), one row a bag or several (Aggregator::classifies_patches), with
  // gradient unless a NoGradGuard stands around the call.
  model::Ragged tokens(const data::HostBatch& batch, const data::DevicePatches& patches,
                       const selection::Selection& selection, const model::Forward& forward);

 private:
  model::Model& model_;
  ComputeTypes types_;
  bool position_encoding_;
  std::unique_ptr<selection::Selector> selector_;
  std::unique_ptr<model::ScanEncoder> scan_encoder_;
};

}  // namespace dbps::training

// One batch of bags on its way through the model: scan, select, re-embed, aggregate
// (method.md 1, steps 4 to 7). Training, evaluation and prediction all go this way.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "data/batch.h"
#include "distributed/collectives.h"
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
//
// With a group of several ranks, which it borrows, select() and tokens() are collective over them:
// each scans the batch's own_parts() and embeds its share of the salient patches; all get the whole
// selection and the same tokens, and go on with them alike. So that gradients summed over all ranks
// are right, each rank goes back from 1 / size of the loss.
class Pass {
 public:
  Pass(model::Model& model, const selection::SelectionOptions& options, ComputeTypes types,
       distributed::Collectives* group = nullptr);

  distributed::Collectives* group() const { return group_; }  // null: this rank alone
  int group_size() const { return group_ == nullptr ? 1 : group_->size(); }
  // Of patches that ranks of the group handed to each other: what this rank gave into sums so far.
  int64_t bytes_exchanged() const { return bytes_exchanged_; }

  // Takes the encoder's present weights and running statistics over into the scan's copy.
  void refresh();

  // Fills in what the ranks of the group know of the batch together only; before device_patches().
  void join(data::HostBatch& batch);

  // Without gradient: which patches of each bag are salient and which sub-salient. Throws
  // StopRequested when request.between_steps does, on whichever rank of the group.
  selection::Selection select(const data::HostBatch& batch, const data::DevicePatches& patches,
                              const selection::Request& request);

  // Embeds the salient patches with the encoder itself, whatever forward.compute_type says in
  // ComputeTypes::pass, and aggregates them with the sub-salient
  // embeddings: tokens (R, T, D), one row a bag or several (Aggregator::classifies_patches), with
  // gradient unless a NoGradGuard stands around the call.
  model::Ragged tokens(const data::HostBatch& batch, const data::DevicePatches& patches,
                       const selection::Selection& selection, const model::Forward& forward);

 private:
  data::SumOverRanks sum_over_group() const;
  // Of the salient rows those that this rank embeds.
  at::Tensor own_share(const data::DevicePatches& patches, const std::vector<int64_t>& rows,
                       const model::RowGroup& group);
  model::Ragged embed_salient(const data::DevicePatches& patches, std::vector<int64_t> rows,
                              std::vector<int64_t> offsets, const model::Forward& forward);

  model::Model& model_;
  ComputeTypes types_;
  bool position_encoding_;
  distributed::Collectives* group_;  // null: this rank alone
  int64_t bytes_exchanged_ = 0;
  std::unique_ptr<selection::Selector> selector_;
  std::unique_ptr<model::ScanEncoder> scan_encoder_;
};

}  // namespace dbps::training

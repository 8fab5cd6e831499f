#include "training/pass.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <numeric>
#include <utility>
#include <vector>

#include "base/error.h"
#include "training/shared_rows.h"
#include "training/stopping.h"

namespace dbps::training {
namespace {

std::vector<int64_t> places(const data::HostBatch& batch) {
  std::vector<int64_t> place;
  place.reserve(static_cast<size_t>(batch.offsets.back()));
  for (const data::HostBag& bag : batch.bags) {
    place.insert(place.end(), bag.index.begin(), bag.index.end());
  }
  return place;
}

// The rows of all bags end to end, and where each bag's begin.
std::pair<std::vector<int64_t>, std::vector<int64_t>> flatten(
    const std::vector<selection::Selected>& selected) {
  std::vector<int64_t> rows;
  std::vector<int64_t> offsets = {0};
  for (const selection::Selected& bag : selected) {
    rows.insert(rows.end(), bag.rows.begin(), bag.rows.end());
    offsets.push_back(static_cast<int64_t>(rows.size()));
  }
  return {std::move(rows), std::move(offsets)};
}

at::Tensor places_of(const std::vector<int64_t>& rows, const std::vector<int64_t>& place) {
  at::Tensor picked = at::empty({static_cast<int64_t>(rows.size())}, at::kLong);
  int64_t* out = picked.data_ptr<int64_t>();
  for (const int64_t row : rows) *out++ = place[static_cast<size_t>(row)];
  return picked;
}

}  // namespace

Pass::Pass(model::Model& model, const selection::SelectionOptions& options, ComputeTypes types,
           distributed::Collectives* group)
    : model_(model),
      types_(types),
      position_encoding_(model.options().aggregator.position_encoding),
      group_(group == nullptr || group->size() == 1 ? nullptr : group),
      selector_(selection::make_selector(options)),
      scan_encoder_(model.encoder().make_scan_copy(types.scan)) {
  refresh();
}

void Pass::refresh() { scan_encoder_->refresh(); }

data::SumOverRanks Pass::sum_over_group() const {
  return [over = group_](const at::Tensor& own) { return distributed::sum(*over, own); };
}

void Pass::join(data::HostBatch& batch) {
  if (group_ != nullptr) data::join(batch, sum_over_group());
}

selection::Selection Pass::select(const data::HostBatch& batch, const data::DevicePatches& patches,
                                  const selection::Request& request) {
  const c10::NoGradGuard no_gradient;
  selection::Bags bags;
  bags.offsets = batch.offsets;
  bags.place = places(batch);
  for (const data::HostBag& bag : batch.bags) bags.sample.push_back(bag.sample);
  DBPS_CHECK(batch.share.members == group_size(), "a batch of another patch group's");
  bags.own = batch.own_parts();
  bags.gather = [&](const std::vector<int64_t>& rows) { return patches.gather(rows); };
  bags.expect = [&](const std::vector<std::vector<int64_t>>& gathers) { patches.expect(gathers); };

  selection::Scorer scorer;
  scorer.embed = [&](const at::Tensor& input) { return scan_encoder_->embed(input); };
  scorer.logits = [&](const at::Tensor& embeddings, const at::Tensor& place) {
    return model_.scan_logits(embeddings, position_encoding_ ? place : at::Tensor());
  };
  selection::Request shared = request;
  shared.group = group_;
  try {
    return selector_->select(bags, scorer, shared);
  } catch (const selection::Interrupted&) {
    throw StopRequested();
  }
}

at::Tensor Pass::own_share(const data::DevicePatches& patches, const std::vector<int64_t>& rows,
                           const model::RowGroup& group) {
  if (!patches.holds_own_part()) {
    const auto first = rows.begin() + group.first_row();
    return patches.gather({first, first + group.own_rows()});
  }
  return patches.gather_together(rows, group.first_row(), group.own_rows(),
                                 [&](const at::Tensor& words) {
                                   bytes_exchanged_ += static_cast<int64_t>(words.nbytes());
                                   return sum_over_group()(words);
                                 });
}

model::Ragged Pass::embed_salient(const data::DevicePatches& patches, std::vector<int64_t> rows,
                                  std::vector<int64_t> offsets, const model::Forward& forward) {
  model::Forward encoding = forward;
  encoding.compute_type = types_.pass;
  if (group_ == nullptr) {
    return {model_.encoder().embed(patches.gather(rows), encoding), std::move(offsets)};
  }
  auto group = std::make_shared<model::RowGroup>();
  group->rows = row_shares(static_cast<int64_t>(rows.size()), group_->size());
  group->member = group_->rank();
  group->sum = sum_over_group();
  encoding.group = group;
  const at::Tensor own = own_share(patches, rows, *group);
  return {join_rows(model_.encoder().embed(own, encoding), *group), std::move(offsets)};
}

model::Ragged Pass::tokens(const data::HostBatch& batch, const data::DevicePatches& patches,
                           const selection::Selection& selection, const model::Forward& forward) {
  auto [salient_rows, salient_offsets] = flatten(selection.salient);
  model::Ragged salient = embed_salient(patches, salient_rows, std::move(salient_offsets), forward);

  at::Tensor salient_places;
  at::Tensor sub_salient_places;
  if (position_encoding_) {
    const std::vector<int64_t> place = places(batch);
    salient_places = places_of(salient_rows, place);
    sub_salient_places = places_of(flatten(selection.sub_salient).first, place);
  }
  model::Ragged tokens;
  tokens.values = model_.aggregator().aggregate(salient, selection.sub_salient_embeddings,
                                                salient_places, sub_salient_places, forward);
  if (model_.aggregator().classifies_patches()) {
    tokens.offsets = std::move(salient.offsets);
  } else {
    tokens.offsets.resize(batch.bags.size() + 1);
    std::iota(tokens.offsets.begin(), tokens.offsets.end(), 0);
  }
  return tokens;
}

}  // namespace dbps::training

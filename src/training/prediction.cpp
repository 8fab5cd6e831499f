#include "training/prediction.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "training/preprocessing.h"

namespace dbps::training {
namespace {

std::vector<SelectedPatch> describe(const selection::Selected& selected, const data::HostBag& bag,
                                    int64_t first_row) {
  std::vector<SelectedPatch> patches;
  for (size_t i = 0; i < selected.rows.size(); ++i) {
    const auto row = static_cast<size_t>(selected.rows[i] - first_row);
    patches.push_back({bag.index[row], bag.x[row], bag.y[row], selected.scores[i]});
  }
  return patches;
}

}  // namespace

Predictor::Predictor(const config::Config& config, model::Model& model, Pass& pass, bool attention)
    : config_(config), model_(model), pass_(pass), attention_(attention) {}

std::vector<Prediction> Predictor::predict(const data::HostBatch& batch,
                                           const std::function<void()>& between_steps,
                                           const std::function<void(bool)>& waits) {
  if (batch.bags.empty()) return {};
  const c10::NoGradGuard no_gradient;
  const at::Tensor like = model_.parameters().front().tensor;
  const data::DevicePatches patches = device_patches(batch, config_, model_, like);
  selection::Request request = evaluation_request(config_, between_steps);
  request.waits = waits;
  request.attention = attention_;
  selection::Selection selection = pass_.select(batch, patches, request);
  const model::Ragged tokens = pass_.tokens(batch, patches, selection, model::Forward{});

  std::vector<Prediction> predictions(batch.bags.size());
  for (size_t b = 0; b < batch.bags.size(); ++b) {
    const data::HostBag& bag = batch.bags[b];
    predictions[b].picture = bag.picture;
    predictions[b].salient = describe(selection.salient[b], bag, batch.offsets[b]);
    predictions[b].sub_salient = describe(selection.sub_salient[b], bag, batch.offsets[b]);
    predictions[b].patch_width = bag.patch_width_source;
    predictions[b].patch_height = bag.patch_height_source;
    if (!selection.attention.empty()) predictions[b].attention = std::move(selection.attention[b]);
  }
  for (size_t task = 0; task < model_.options().tasks.size(); ++task) {
    const auto index = static_cast<int64_t>(task);
    const model::Heads& heads = model_.heads();
    const at::Tensor logits = heads.pool(heads.logits(tokens.values, index), tokens.offsets, index);
    const at::Tensor probabilities =
        heads.probabilities(logits, index).to(at::kCPU, at::kDouble).contiguous();
    const double* values = probabilities.data_ptr<double>();
    const int64_t columns = probabilities.size(1);
    for (size_t b = 0; b < predictions.size(); ++b) {
      const double* row = values + static_cast<int64_t>(b) * columns;
      predictions[b].probabilities.emplace_back(row, row + columns);
    }
  }
  return predictions;
}

const char* task_kind_name(model::TaskKind kind) {
  switch (kind) {
    case model::TaskKind::kMulticlass:
      return "multiclass";
    case model::TaskKind::kMultilabel:
      return "multilabel";
    case model::TaskKind::kBinary:
      return "binary";
  }
  return "";
}

}  // namespace dbps::training

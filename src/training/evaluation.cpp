#include "training/evaluation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/text.h"
#include "data/loader.h"
#include "data/plan.h"
#include "training/device_memory.h"
#include "training/preprocessing.h"
#include "training/run_maps.h"
#include "training/staging.h"
#include "training/stopping.h"
#include "training/stopwatch.h"

namespace dbps::training {
namespace {

using Json = nlohmann::json;

Json to_json(const std::vector<SelectedPatch>& patches) {
  Json json = Json::array();
  for (const SelectedPatch& patch : patches) {
    json.push_back({patch.index, patch.x, patch.y, patch.score});
  }
  return json;
}

std::vector<SelectedPatch> patches_from(const Json& json) {
  std::vector<SelectedPatch> patches;
  for (const Json& patch : json) {
    patches.push_back({patch[0].get<int64_t>(), patch[1].get<double>(), patch[2].get<double>(),
                       patch[3].get<double>()});
  }
  return patches;
}

// Predictions as bytes for the other ranks; CBOR keeps doubles exact.
std::string pack(const std::vector<Prediction>& predictions, const InferenceCost& cost,
                 bool stopped) {
  Json rows = Json::array();
  for (const Prediction& p : predictions) {
    rows.push_back({p.picture, p.probabilities, to_json(p.salient), to_json(p.sub_salient),
                    p.patch_width, p.patch_height});
  }
  const std::vector<uint8_t> bytes =
      Json::to_cbor(Json{{"stopped", stopped},
                         {"rows", rows},
                         {"cost", {cost.batch, cost.seconds_a_batch, cost.bytes_peak}}});
  return std::string(bytes.begin(), bytes.end());
}

// `cost`: of the slowest rank among those with the largest batch; some may have had none.
bool unpack(const std::string& bytes, std::vector<Prediction>& predictions, InferenceCost& cost) {
  const Json json = Json::from_cbor(bytes);
  const auto batch = json["cost"][0].get<int64_t>();
  const auto seconds = json["cost"][1].get<double>();
  if (std::tie(batch, seconds) > std::tie(cost.batch, cost.seconds_a_batch)) {
    cost.batch = batch;
    cost.seconds_a_batch = seconds;
  }
  cost.bytes_peak = std::max(cost.bytes_peak, json["cost"][2].get<int64_t>());
  for (const Json& row : json["rows"]) {
    Prediction p;
    p.picture = row[0].get<int64_t>();
    p.probabilities = row[1].get<std::vector<std::vector<double>>>();
    p.salient = patches_from(row[2]);
    p.sub_salient = patches_from(row[3]);
    p.patch_width = row[4].get<double>();
    p.patch_height = row[5].get<double>();
    predictions.push_back(std::move(p));
  }
  return json["stopped"].get<bool>();
}

// The loss of method.md 3 from probabilities, of one labelled picture.
double picture_loss(const model::TaskOptions& task, const std::vector<double>& probabilities,
                    const data::Label& label, double epsilon) {
  if (task.kind == model::TaskKind::kMulticlass) {
    // The least probability that a float holds stands in for one that vanished.
    const double p = probabilities[static_cast<size_t>(label[0])] + epsilon;
    return -std::log(std::max<double>(p, std::numeric_limits<float>::min()));
  }
  double sum = 0;
  for (size_t c = 0; c < probabilities.size(); ++c) {
    const double p = probabilities[c];
    sum -= label[c] * std::max(std::log(p), -100.0) +
           (1 - label[c]) * std::max(std::log1p(-p), -100.0);
  }
  return sum / static_cast<double>(probabilities.size());
}

report::TaskOutputs task_outputs(const model::TaskOptions& task, size_t index,
                                 const data::Dataset& dataset,
                                 const std::vector<Prediction>& predictions) {
  report::TaskOutputs outputs;
  outputs.kind = task_kind_name(task.kind);
  outputs.classes = task.classes;
  for (const Prediction& prediction : predictions) {
    const data::Label& label = dataset.pictures()[prediction.picture].labels[index];
    if (label.empty()) continue;
    outputs.probabilities.push_back(prediction.probabilities[index]);
    outputs.labels.emplace_back(label.begin(), label.end());
  }
  return outputs;
}

Evaluation summarise(const config::Config& config, const data::Dataset& dataset,
                     std::vector<Prediction> predictions) {
  Evaluation evaluation;
  double weights = 0;
  for (size_t index = 0; index < config.tasks.size(); ++index) {
    const model::TaskOptions& task = config.tasks[index];
    const report::TaskOutputs outputs = task_outputs(task, index, dataset, predictions);
    TaskEvaluation result;
    if (!outputs.labels.empty()) {
      result.metrics = report::compute_metrics(outputs);
      if (task.kind != model::TaskKind::kMultilabel) {
        result.confusion = report::confusion(outputs);
        result.calibration = report::calibration(outputs);
      }
      double loss = 0;
      for (size_t i = 0; i < outputs.labels.size(); ++i) {
        const data::Label label(outputs.labels[i].begin(), outputs.labels[i].end());
        loss += picture_loss(task, outputs.probabilities[i], label, config.training.loss_epsilon);
      }
      evaluation.loss += task.weight * loss / static_cast<double>(outputs.labels.size());
      weights += task.weight;
    }
    evaluation.tasks.push_back(std::move(result));
  }
  if (weights > 0) evaluation.loss /= weights;
  evaluation.predictions = std::move(predictions);
  return evaluation;
}

struct Timed {
  int64_t pictures;
  double seconds;
};

InferenceCost cost_of(const std::vector<Timed>& batches, at::Device device) {
  InferenceCost cost;
  for (const Timed& batch : batches) cost.batch = std::max(cost.batch, batch.pictures);
  std::vector<double> seconds;
  for (const Timed& batch : batches) {
    if (batch.pictures == cost.batch) seconds.push_back(batch.seconds);
  }
  if (seconds.size() > 1) seconds.erase(seconds.begin());
  std::sort(seconds.begin(), seconds.end());
  const size_t middle = seconds.size() / 2;
  if (!seconds.empty()) {
    cost.seconds_a_batch =
        seconds.size() % 2 == 1 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
  }
  cost.bytes_peak = peak_device_bytes(device);
  return cost;
}

std::string class_name(const model::TaskOptions& task, size_t index) {
  return index < task.classes.size() ? task.classes[index] : std::to_string(index);
}

std::string truth(const model::TaskOptions& task, const data::Label& label) {
  if (label.empty()) return "";
  if (task.kind != model::TaskKind::kMultilabel) {
    return class_name(task, static_cast<size_t>(label[0]));
  }
  std::vector<std::string> present;
  for (size_t c = 0; c < label.size(); ++c) {
    if (label[c] > 0.5) present.push_back(class_name(task, c));
  }
  return fmt::format("{}", fmt::join(present, ";"));
}

// What did not travel: of this rank's own.
void take_attention(std::vector<Prediction>& mine, std::vector<Prediction>& all) {
  for (Prediction& prediction : mine) {
    const auto found =
        std::lower_bound(all.begin(), all.end(), prediction.picture,
                         [](const Prediction& p, int64_t picture) { return p.picture < picture; });
    found->attention = std::move(prediction.attention);
  }
}

}  // namespace

double loss_of(const config::Config& config, const data::Picture& picture,
               const Prediction& prediction) {
  double loss = 0;
  double weights = 0;
  for (size_t i = 0; i < config.tasks.size(); ++i) {
    const model::TaskOptions& task = config.tasks[i];
    if (picture.labels[i].empty()) continue;
    loss += task.weight * picture_loss(task, prediction.probabilities[i], picture.labels[i],
                                       config.training.loss_epsilon);
    weights += task.weight;
  }
  return weights > 0 ? loss / weights : 0;
}

std::optional<Evaluation> evaluate(const config::Config& config, const data::Dataset& dataset,
                                   const std::vector<int64_t>& pictures, model::Model& model,
                                   Pass& pass, distributed::World& world,
                                   distributed::Watchdog& watchdog, const std::string& label) {
  watchdog.phase("evaluate");
  const int64_t batch_size = std::max<int64_t>(
      1, config.training.batch_size_global / std::max<int64_t>(1, config.training.micro_batches));
  const distributed::PatchGroup place = distributed::patch_group_of(world, config.distributed);
  const std::vector<std::vector<int64_t>> batches =
      data::plan_evaluation(dataset, pictures, batch_size, reader_place(config, world));
  data::LoaderOptions loading = loader_options(config, /*training=*/false, 0, false);
  loading.share = bag_share(config, dataset, world);
  data::Loader loader(dataset, loading, batches);
  Predictor predictor(config, model, pass, draws_attention(config, dataset));
  const auto count = static_cast<int64_t>(pictures.size());
  Progress progress(label, world.rank() == 0);
  const at::Device device = model.tensors().front().tensor.device();
  begin_peak(device);

  std::vector<Prediction> mine;
  std::vector<Timed> timed;
  bool stopped = false;
  try {
    for (size_t i = 0; i < batches.size(); ++i) {
      std::optional<data::HostBatch> batch;
      stop_together(pass.group(), [&] {
        batch = loader.next([&](bool went_on) { stop_or_wait_on(watchdog, went_on); });
        stop_or_go_on(watchdog);
      });
      const Stopwatch predicting;
      std::vector<Prediction> predicted = predictor.predict(
          *batch, [&] { stop_or_go_on(watchdog); },
          [&](bool waiting) { waiting ? watchdog.wait("evaluate") : watchdog.phase("evaluate"); });
      timed.push_back({static_cast<int64_t>(predicted.size()), predicting.seconds()});
      for (Prediction& p : predicted) mine.push_back(std::move(p));
      const int64_t seen = static_cast<int64_t>(mine.size()) * place.num_groups;
      progress.update(std::min(seen, count), count, "pictures");
    }
  } catch (const StopRequested&) {
    stopped = true;
  }

  InferenceCost cost = cost_of(timed, device);
  if (!place.leads()) mine.clear();

  watchdog.wait("gather");
  std::vector<Prediction> all;
  for (const std::string& bytes : world.all_gather(pack(mine, cost, stopped))) {
    stopped = unpack(bytes, all, cost) || stopped;
  }
  if (stopped) return std::nullopt;
  std::sort(all.begin(), all.end(),
            [](const Prediction& a, const Prediction& b) { return a.picture < b.picture; });
  DBPS_CHECK(all.size() == pictures.size(), "an evaluation lost or repeated a picture");
  take_attention(mine, all);
  Evaluation evaluation = summarise(config, dataset, std::move(all));
  evaluation.cost = cost;
  return evaluation;
}

bool higher_is_better(const std::string& monitor) { return monitor != "loss"; }

double monitored(const config::Config& config, const Evaluation& evaluation) {
  const std::string& monitor = config.validation.monitor;
  if (monitor == "loss") return evaluation.loss;
  for (size_t i = 0; i < config.tasks.size(); ++i) {
    for (const auto& [metric, value] : evaluation.tasks[i].metrics) {
      if (monitor == config.tasks[i].name + "." + metric || (i == 0 && monitor == metric)) {
        return value;
      }
    }
  }
  return std::numeric_limits<double>::quiet_NaN();
}

void write_predictions(const std::filesystem::path& path, const config::Config& config,
                       const data::Dataset& dataset, const Evaluation& evaluation) {
  std::vector<std::string> header = {"id", "patient"};
  for (const model::TaskOptions& task : config.tasks) {
    const std::string prefix = config.tasks.size() > 1 ? task.name + ":" : "";
    header.push_back(prefix + "truth");
    if (task.kind == model::TaskKind::kBinary) {
      header.push_back(prefix + class_name(task, 1));
    } else {
      for (const std::string& name : task.classes) header.push_back(prefix + name);
    }
  }
  std::string text = csv_line(header);
  for (const Prediction& prediction : evaluation.predictions) {
    const data::Picture& picture = dataset.pictures()[prediction.picture];
    std::vector<std::string> row = {picture.id, picture.patient};
    for (size_t task = 0; task < config.tasks.size(); ++task) {
      row.push_back(truth(config.tasks[task], picture.labels[task]));
      for (const double p : prediction.probabilities[task]) row.push_back(fmt::format("{}", p));
    }
    text += csv_line(row);
  }
  write_file_atomic(path, text);
}

}  // namespace dbps::training

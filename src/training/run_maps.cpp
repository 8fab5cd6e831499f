#include "training/run_maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "training/heat_maps.h"
#include "training/map_pictures.h"

namespace dbps::training {
namespace {

constexpr int64_t kLongest = 1024;  // a report holds a dozen of them

// "1-best", "1-worst", ... and the places of their predictions.
std::vector<std::pair<std::string, size_t>> best_and_worst(const config::Config& config,
                                                           const data::Dataset& dataset,
                                                           const Evaluation& evaluation) {
  const std::vector<Prediction>& predictions = evaluation.predictions;
  std::vector<double> loss;
  for (const Prediction& prediction : predictions) {
    loss.push_back(loss_of(config, dataset.pictures()[prediction.picture], prediction));
  }
  std::vector<size_t> order(predictions.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return loss[a] < loss[b]; });
  const auto count =
      std::min<size_t>(order.size(), static_cast<size_t>(config.report.maps_per_epoch));
  std::vector<std::pair<std::string, size_t>> chosen;
  for (size_t i = 0; i < count; ++i) {
    const size_t place = i / 2;
    chosen.emplace_back(fmt::format("{}-{}", place + 1, i % 2 == 0 ? "best" : "worst"),
                        i % 2 == 0 ? order[place] : order[order.size() - 1 - place]);
  }
  return chosen;
}

void try_to_draw(const std::function<void()>& draw) {
  try {
    draw();
  } catch (const Error& error) {
    log::warning("a map could not be drawn: {}", error.what());
  }
}

}  // namespace

bool draws_attention(const config::Config& config, const data::Dataset& dataset) {
  return config.report.maps_per_epoch > 0 && dataset.kind() == store::Kind::kTiles &&
         selection::method_of(config.selection).scans;
}

void draw_run_maps(const std::filesystem::path& folder, const config::Config& config,
                   const data::Dataset& dataset, const Evaluation& evaluation, int rank,
                   const std::function<void()>& between) {
  const std::vector<Prediction>& predictions = evaluation.predictions;
  if (draws_attention(config, dataset)) {
    for (const auto& [name, chosen] : best_and_worst(config, dataset, evaluation)) {
      const Prediction& prediction = predictions[chosen];
      if (prediction.attention.empty()) continue;  // another rank has it
      try_to_draw([&, name = name] {
        const Attended attended = attended_slide(dataset.whole_bag(prediction.picture), prediction,
                                                 static_cast<int>(config.data.decode_threads));
        write_heat_pictures(folder, fmt::format("{}-{}", name, file_name_of(attended.map.id)),
                            attended, {"jpg", kLongest});
      });
      between();
    }
    return;
  }
  if (rank != 0 || dataset.kind() != store::Kind::kImages) return;
  const auto count =
      std::min<size_t>(predictions.size(), static_cast<size_t>(config.report.maps_per_epoch));
  for (size_t i = 0; i < count; ++i) {
    const Prediction& prediction = predictions[i * predictions.size() / count];
    try_to_draw([&] { write_map(folder, config, dataset, prediction); });
    between();
  }
}

}  // namespace dbps::training

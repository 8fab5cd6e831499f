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

// A prediction to draw, and what comes before its id in the file's name: "1-best-", "1-worst-", ...
struct Chosen {
  std::string prefix;
  const Prediction* prediction;
};

std::vector<Chosen> best_and_worst(const config::Config& config, const data::Dataset& dataset,
                                   const Evaluation& evaluation, size_t most) {
  const std::vector<Prediction>& predictions = evaluation.predictions;
  std::vector<double> loss;
  for (const Prediction& prediction : predictions) {
    loss.push_back(loss_of(config, dataset.pictures()[prediction.picture], prediction));
  }
  std::vector<size_t> order(predictions.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return loss[a] < loss[b]; });
  std::vector<Chosen> chosen;
  for (size_t i = 0; i < std::min(order.size(), most); ++i) {
    const size_t place = i / 2;
    const bool best = i % 2 == 0;
    chosen.push_back({fmt::format("{}-{}-", place + 1, best ? "best" : "worst"),
                      &predictions[order[best ? place : order.size() - 1 - place]]});
  }
  return chosen;
}

// At even distances: the same ones after every epoch.
std::vector<Chosen> spread(const Evaluation& evaluation, size_t most) {
  const std::vector<Prediction>& predictions = evaluation.predictions;
  const size_t count = std::min(predictions.size(), most);
  std::vector<Chosen> chosen;
  for (size_t i = 0; i < count; ++i) {
    chosen.push_back({"", &predictions[i * predictions.size() / count]});
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
  const auto most = static_cast<size_t>(config.report.maps_per_epoch);
  const auto name_of = [&](const Chosen& chosen) {
    const data::Picture& picture = dataset.pictures()[chosen.prediction->picture];
    return chosen.prefix + file_name_of(picture.id);
  };
  if (draws_attention(config, dataset)) {
    for (const Chosen& chosen : best_and_worst(config, dataset, evaluation, most)) {
      const Prediction& prediction = *chosen.prediction;
      if (prediction.attention.empty()) continue;  // another rank has it
      try_to_draw([&] {
        const Attended attended = attended_slide(dataset.whole_bag(prediction.picture), prediction,
                                                 static_cast<int>(config.data.decode_threads));
        write_heat_pictures(folder, name_of(chosen), attended, {"jpg", kLongest});
      });
      between();
    }
    return;
  }
  if (rank != 0 || dataset.kind() != store::Kind::kImages) return;
  std::vector<Chosen> pictures = best_and_worst(config, dataset, evaluation, most / 2);
  const std::vector<Chosen> others = spread(evaluation, most - pictures.size());
  pictures.insert(pictures.end(), others.begin(), others.end());
  for (const Chosen& chosen : pictures) {
    try_to_draw([&] {
      write_map(folder / (name_of(chosen) + ".jpg"), config, dataset, *chosen.prediction);
    });
    between();
  }
}

}  // namespace dbps::training

// Reads lines of JSON, {"config": path, "set": ["table.key=value", ...]}; answers each with one:
// {"patches": N of a picture of the configured size (0: as the store has), "kept", "step",
// "parameters"}, or {"error": what the program says}. Each different model is built once.
#include <ATen/ATen.h>

#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "config/config.h"
#include "data/grid.h"
#include "model/model.h"

namespace {

using dbps::config::Config;
using Json = nlohmann::ordered_json;

constexpr int64_t kClassesOfLabels = 5;  // where only labels would tell
constexpr int64_t kVectors = 70000;      // of a slide; the paper's largest

int64_t patches(const Config& config) {
  const dbps::data::DataOptions& data = config.data;
  if (config.encoder.kind == "features") return kVectors;
  return dbps::data::make_grid(data, {.width = data.width, .height = data.height}).size();
}

int64_t parameters(Config config) {
  static std::map<std::string, int64_t> built;
  for (dbps::model::TaskOptions& task : config.tasks) {
    const bool binary = task.kind == dbps::model::TaskKind::kBinary;
    const int64_t count = binary ? 2 : task.num_classes > 0 ? task.num_classes : kClassesOfLabels;
    for (int64_t i = static_cast<int64_t>(task.classes.size()); i < count; ++i) {
      task.classes.push_back(std::to_string(i));
    }
  }
  if (config.aggregator.tokens == 0) {
    config.aggregator.tokens = static_cast<int64_t>(config.tasks.size());
  }
  Config model_alone;
  model_alone.encoder = config.encoder;
  model_alone.aggregator = config.aggregator;
  model_alone.tasks = config.tasks;
  const std::string text = dbps::config::to_toml(model_alone, false);
  if (built.contains(text)) return built.at(text);
  const dbps::model::Model model({config.encoder, config.aggregator, config.tasks}, at::kCPU,
                                 at::kFloat, /*seed=*/0);
  int64_t count = 0;
  for (const auto& parameter : model.parameters()) count += parameter.tensor.numel();
  built[text] = count;
  return count;
}

Json answer(const Json& question) {
  const Config config = dbps::config::load(question["config"].get<std::string>(),
                                           question["set"].get<std::vector<std::string>>());
  const int64_t count = patches(config);
  return {{"patches", count},
          {"kept", dbps::data::kept_patches(config.drop.ratio, count, config.selection.salient)},
          {"step", dbps::data::scan_step(config.drop.ratio, config.selection.scan_patches)},
          {"parameters", parameters(config)}};
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    Json reply;
    try {
      reply = answer(Json::parse(line));
    } catch (const std::exception& error) {
      reply = {{"error", error.what()}};
    }
    std::cout << reply.dump() << '\n';
  }
}

#include "launcher/predicting.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "base/text.h"
#include "launcher/inputs.h"
#include "training/heat_maps.h"
#include "training/map_pictures.h"
#include "training/prediction.h"

namespace dbps::launcher {
namespace {

using Json = nlohmann::ordered_json;

Json patches_json(const std::vector<training::SelectedPatch>& patches) {
  Json json = Json::array();
  for (const training::SelectedPatch& p : patches) {
    json.push_back({{"index", p.index}, {"x", p.x}, {"y", p.y}, {"score", p.score}});
  }
  return json;
}

Json task_json(const model::TaskOptions& task, const std::vector<double>& probabilities) {
  Json json;
  const auto name = [&](size_t c) {
    return c < task.classes.size() ? task.classes[c] : std::to_string(c);
  };
  if (task.kind == model::TaskKind::kBinary) {
    json["probabilities"] = {{name(0), 1 - probabilities[0]}, {name(1), probabilities[0]}};
    json["prediction"] = name(probabilities[0] > 0.5 ? 1 : 0);
    return json;
  }
  for (size_t c = 0; c < probabilities.size(); ++c)
    json["probabilities"][name(c)] = probabilities[c];
  if (task.kind == model::TaskKind::kMultilabel) {
    json["prediction"] = Json::array();
    for (size_t c = 0; c < probabilities.size(); ++c) {
      if (probabilities[c] > 0.5) json["prediction"].push_back(name(c));
    }
  } else {
    const auto best = std::max_element(probabilities.begin(), probabilities.end());
    json["prediction"] = name(static_cast<size_t>(best - probabilities.begin()));
  }
  return json;
}

// A file's name may hold bytes that are no UTF-8.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_drawn_as_heat(const Input& input, const PredictOptions& options) {
  return options.every_patch || input.slide || (input.store && !input.is_of(store::Kind::kImages));
}

// Said before anything is predicted.
void check_maps(const PredictOptions& options, const training::TrainedModel& trained,
                const std::vector<Input>& inputs) {
  if (options.maps.empty()) return;
  const bool vectors = model::reads_vectors(trained.config->encoder);
  for (const Input& input : inputs) {
    if (vectors && !input.store) {
      throw ConfigError(
          fmt::format("--maps: the vectors of {} do not say where their tiles lie: give a store of "
                      "features with coordinates, or leave --maps out",
                      input.source.string()));
    }
    if (!is_drawn_as_heat(input, options)) continue;
    const selection::SelectionOptions& selection = trained.config->selection;
    if (selection::method_of(selection).scans) continue;
    throw ConfigError(fmt::format(
        "--maps draws the attention of every patch, and selection.method = \"{}\" ranks none: "
        "leave "
        "it out, or add --set selection.method=dbps for a model with an aggregator that ranks",
        selection.method));
  }
}

void draw(const PredictOptions& options, const training::TrainedModel& trained, const Input& input,
          const OpenInput& open, const training::Prediction& prediction) {
  const config::Config& config = *trained.config;
  if (!is_drawn_as_heat(input, options)) {
    const std::string name = training::file_name_of(input.id) + ".jpg";
    training::write_map(std::filesystem::path(options.maps) / name, config, input.id, open.encoded,
                        prediction);
    return;
  }
  const training::Attended attended =
      open.store ? training::attended_slide({*open.store, open.bag}, prediction,
                                            static_cast<int>(config.data.decode_threads))
                 : training::attended_picture(open.picture, open.batch.bags[0], prediction);
  training::write_heat_map(options.maps, training::file_name_of(input.id), attended);
}

// The line of one input; a damaged one gets an "error" line instead.
Json predict_one(const Input& input, const PredictOptions& options, training::TrainedModel& trained,
                 training::Predictor& predictor) {
  Json line = {{"id", input.id}, {"source", input.source.string()}};
  try {
    const OpenInput open = open_input(input, trained, {options.slide_mpp, options.every_patch});
    const training::Prediction prediction = predictor.predict(open.batch, nullptr).front();
    for (size_t i = 0; i < trained.config->tasks.size(); ++i) {
      const model::TaskOptions& task = trained.config->tasks[i];
      line["tasks"][task.name] = task_json(task, prediction.probabilities[i]);
    }
    line["salient"] = patches_json(prediction.salient);
    line["sub_salient"] = patches_json(prediction.sub_salient);
    if (!options.maps.empty()) draw(options, trained, input, open, prediction);
  } catch (const DataError& error) {
    line["error"] = error.what();
  }
  return line;
}

}  // namespace

void add_predict_options(CLI::App& app, PredictOptions& options) {
  app.add_option("MODEL", options.model,
                 "A run's folder, a .safetensors model, or with --weights a configuration")
      ->required();
  app.add_option("INPUT", options.inputs,
                 "Pictures, slides or files of features (what the model reads), folders or CSVs of "
                 "them, stores")
      ->required();
  app.add_option("--checkpoint", options.source.checkpoint, "best, latest or a checkpoint's name")
      ->capture_default_str();
  app.add_option("--weights", options.weights,
                 "With a configuration: a whole model's weights, our names or upstream's");
  app.add_option("--slide-mpp", options.slide_mpp, "Microns a pixel of slides that do not say")
      ->check(CLI::PositiveNumber);
  app.add_option("--set", options.source.overrides, "table.key=value (repeatable)")
      ->allow_extra_args(false);
}

void run_prediction(const PredictOptions& options, Context& context) {
  distributed::World& world = *context.world;
  training::ModelSource source = options.source;
  source.path = options.model;
  source.weights = options.weights;
  training::TrainedModel trained = training::load_trained_model(source, world);
  if (trained.config->distributed.patch_group > 1) {
    throw ConfigError(fmt::format(
        "distributed.patch_group = {}: every rank predicts pictures of its own; leave it out",
        trained.config->distributed.patch_group));
  }
  training::Predictor predictor(*trained.config, *trained.model, *trained.pass,
                                /*attention=*/!options.maps.empty());
  const std::vector<Input> inputs = list_inputs(options.inputs, trained);
  check_maps(options, trained, inputs);
  const auto count = static_cast<int64_t>(inputs.size());
  Progress progress("predict", world.rank() == 0 && !context.quiet);

  // Ranks take inputs in turn; rank 0 writes each round in input order.
  constexpr int64_t kRound = 16;
  int64_t failed = 0;
  for (int64_t start = 0; start < count; start += kRound * world.world_size()) {
    const int64_t end = std::min(count, start + kRound * world.world_size());
    Json mine = Json::object();
    for (int64_t i = start + world.rank(); i < end; i += world.world_size()) {
      mine[std::to_string(i)] = predict_one(inputs[i], options, trained, predictor);
    }
    std::vector<Json> round;
    for (const std::string& bytes : world.all_gather(text_of(mine))) {
      round.push_back(Json::parse(bytes));
    }
    for (int64_t i = start; i < end; ++i) {
      const Json& line = round[(i - start) % world.world_size()][std::to_string(i)];
      if (line.contains("error")) ++failed;
      if (world.rank() == 0) fmt::print("{}\n", text_of(line));
    }
    std::fflush(stdout);
    progress.update(end, count, "pictures");
  }
  if (failed > 0) {
    throw DataError(fmt::format("{} of {} could not be predicted; their lines hold the error",
                                failed, counted(count, "picture")));
  }
}

}  // namespace dbps::launcher

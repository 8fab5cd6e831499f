// `dbps predict RUN|MODEL.safetensors INPUT...`
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/text.h"
#include "data/loader.h"
#include "data/vectors.h"
#include "image/codec.h"
#include "ingest/feature_file.h"
#include "ingest/sources.h"
#include "launcher/verb.h"
#include "launcher/verbs/verbs.h"
#include "store/reader.h"
#include "training/map_pictures.h"
#include "training/prediction.h"
#include "training/preprocessing.h"
#include "training/trained_model.h"

namespace dbps::launcher {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Options {
  training::ModelSource source;
  std::string model;
  std::string weights;
  std::vector<std::string> inputs;
  std::string maps;
};

// One picture, slide or bag of features to predict: a file, or a bag of a store.
struct Input {
  std::string id;
  fs::path source;                            // the file, or STORE/ID
  std::string member = {};                    // of a file of several bags
  std::shared_ptr<store::Reader> store = {};  // null for a file
  int64_t bag = 0;

  bool is_slide() const { return store && store->settings().kind == store::Kind::kTiles; }
  std::vector<uint8_t> read() const { return store ? store->read(bag) : read_file(source); }
};

// Tiles are what a model reads that was trained without resizing, on patches of their size.
void check_store(const store::Settings& settings, const config::Config& config,
                 const std::string& folder) {
  const bool vectors = model::reads_vectors(config.encoder);
  if (vectors != (settings.kind == store::Kind::kFeatures)) {
    throw ConfigError(fmt::format("{} is a store of {}, but the model reads {}", folder,
                                  store::kind_name(settings.kind),
                                  vectors ? "features" : "pictures"));
  }
  if (settings.kind != store::Kind::kTiles) return;
  if (config.data.resize != data::Resize::kNone || config.data.patch_size != settings.tile_size) {
    throw ConfigError(
        fmt::format("{} holds tiles of {} pixels, but the model reads patches of {}{}", folder,
                    settings.tile_size, config.data.patch_size,
                    config.data.resize == data::Resize::kNone ? "" : " from resized pictures"));
  }
}

void add_store(const fs::path& folder, const config::Config& config, std::vector<Input>& inputs) {
  const auto reader = std::make_shared<store::Reader>(folder);
  check_store(reader->settings(), config, folder.string());
  for (int64_t bag = 0; bag < reader->num_bags(); ++bag) {
    const std::string& id = reader->bag(bag).id;
    if (!reader->is_later_part(bag)) inputs.push_back({id, folder / id, {}, reader, bag});
  }
}

// Files of one name, or folders with the same names in them, have their whole paths as ids.
void name_apart(std::vector<Input>& inputs) {
  std::map<std::string, int64_t> count;
  for (const Input& input : inputs) ++count[input.id];
  for (Input& input : inputs) {
    if (count[input.id] < 2) continue;
    input.id = (input.member.empty() ? input.source : input.source / input.member).string();
  }
}

std::vector<Input> list_inputs(const std::vector<std::string>& given,
                               const config::Config& config) {
  const store::Kind kind =
      model::reads_vectors(config.encoder) ? store::Kind::kFeatures : store::Kind::kImages;
  std::vector<Input> inputs;
  for (const std::string& name : given) {
    const fs::path path = name;
    if (fs::exists(path / "store.json")) {
      add_store(path, config, inputs);
    } else if (fs::is_directory(path) || kind == store::Kind::kFeatures) {
      for (const ingest::SourcePicture& found : ingest::find_sources(path, kind).pictures) {
        inputs.push_back({found.id, found.path, found.member});
      }
    } else if (fs::exists(path)) {
      inputs.push_back({path.stem().string(), path});
    } else {
      throw ConfigError(fmt::format("{} does not exist", name));
    }
  }
  name_apart(inputs);
  return inputs;
}

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

void check_width(const Input& input, int64_t width, int64_t wanted) {
  if (width == wanted) return;
  throw DataError(fmt::format("{}: vectors of {} numbers, but the model reads {}",
                              input.source.string(), width, wanted));
}

data::HostBatch read_vectors(const Input& input, int64_t width) {
  if (input.store) {
    check_width(input, input.store->settings().channels, width);
    return data::vector_batch(*input.store, input.bag);
  }
  const ingest::FeatureFile file = ingest::open_features(input.source, input.member);
  check_width(input, file.width, width);
  return data::vector_batch(input.id, ingest::as_stored(file, "float32"), width);
}

// The line of one picture; a damaged one gets an "error" line instead.
Json predict_one(const Input& input, const Options& options, training::TrainedModel& trained,
                 training::Predictor& predictor) {
  Json line = {{"id", input.id}, {"source", input.source.string()}};
  try {
    const config::Config& config = *trained.config;
    data::HostBatch batch;
    std::vector<uint8_t> bytes;
    if (model::reads_vectors(config.encoder)) {
      batch = read_vectors(input, config.encoder.width_in);
    } else if (input.is_slide()) {
      batch = data::tile_batch(*input.store, input.bag,
                               training::loader_options(config, /*training=*/false, 0, false));
    } else {
      bytes = input.read();
      batch = data::cut_encoded(bytes, input.source.string(), input.id,
                                training::loader_options(config, /*training=*/false, 0, false));
    }
    const training::Prediction prediction = predictor.predict(batch, nullptr).front();
    for (size_t i = 0; i < config.tasks.size(); ++i) {
      const model::TaskOptions& task = config.tasks[i];
      line["tasks"][task.name] = task_json(task, prediction.probabilities[i]);
    }
    line["salient"] = patches_json(prediction.salient);
    line["sub_salient"] = patches_json(prediction.sub_salient);
    if (!options.maps.empty()) {
      training::write_map(options.maps, config, input.id, bytes, prediction);
    }
  } catch (const DataError& error) {
    line["error"] = error.what();
  }
  return line;
}

void run_predict(const Options& options, Context& context) {
  distributed::World& world = *context.world;
  training::ModelSource source = options.source;
  source.path = options.model;
  source.weights = options.weights;
  training::TrainedModel trained = training::load_trained_model(source, world);
  if (trained.config->distributed.patch_group > 1) {
    throw ConfigError(fmt::format(
        "distributed.patch_group = {}: predict gives every rank pictures of its own; leave it out",
        trained.config->distributed.patch_group));
  }
  training::Predictor predictor(*trained.config, *trained.model, *trained.pass);
  if (model::reads_vectors(trained.config->encoder) && !options.maps.empty()) {
    throw ConfigError("--maps draws on pictures, and this model reads features: leave it out");
  }
  const std::vector<Input> inputs = list_inputs(options.inputs, *trained.config);
  const auto slide = std::find_if(inputs.begin(), inputs.end(),
                                  [](const Input& input) { return input.is_slide(); });
  if (slide != inputs.end() && !options.maps.empty()) {
    throw ConfigError(
        fmt::format("--maps draws on pictures, and {} is a slide's tiles: leave it out",
                    slide->source.string()));
  }
  const auto count = static_cast<int64_t>(inputs.size());
  Progress progress("predict", world.rank() == 0 && !context.quiet);

  // Ranks take pictures in turn; rank 0 writes each round in input order.
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

}  // namespace

void add_predict(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  app.description(
      "Predict pictures, folders of pictures or stores; one JSON line a picture, with what was "
      "selected. A model of features reads .npy, .safetensors, HDF5 and .pt files and stores of "
      "those.");
  app.add_option("MODEL", options->model,
                 "A run's folder, a .safetensors model, or with --weights a configuration")
      ->required();
  app.add_option("INPUT", options->inputs, "Pictures (or files of features), folders, stores")
      ->required();
  app.add_option("--maps", options->maps, "A folder for pictures of what was selected");
  app.add_option("--checkpoint", options->source.checkpoint, "best, latest or a checkpoint's name")
      ->capture_default_str();
  app.add_option("--weights", options->weights,
                 "With a configuration: a whole model's weights, our names or upstream's");
  app.add_option("--set", options->source.overrides, "table.key=value (repeatable)")
      ->allow_extra_args(false);
  app.footer(
      "Examples:\n"
      "  dbps predict runs/demo-0 holiday.jpg --maps maps\n"
      "  mpirun -n 2 dbps predict demo.safetensors pictures/ > predictions.jsonl");
  app.callback([options, &context] { run_predict(*options, context); });
}

}  // namespace dbps::launcher

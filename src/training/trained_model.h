// A model to be used, not trained: from a run, from a file that travelled, or from a configuration
// and a file of weights.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "config/config.h"
#include "distributed/collectives.h"
#include "distributed/world.h"
#include "model/model.h"
#include "store/format.h"
#include "training/pass.h"

namespace dbps::training {

// Owns model and pass; `config` is the one the model was trained with, devices and threads
// excepted. A patch group is the size that an override says.
struct TrainedModel {
  std::unique_ptr<config::Config> config;
  std::unique_ptr<model::Model> model;
  std::unique_ptr<distributed::Collectives> group;  // of this rank's patch group
  std::unique_ptr<Pass> pass;
  std::filesystem::path weights;                // the file they came from
  std::map<std::string, std::string> metadata;  // of that file
  std::optional<store::Settings> slides;        // how those were cut that it was trained on
};

struct ModelSource {
  std::filesystem::path path;          // a run's folder, a .safetensors file, or a configuration
  std::string checkpoint = "best";     // of a run: "best", "latest" or a checkpoint's name
  std::filesystem::path weights;       // with a configuration: the file
  std::vector<std::string> overrides;  // "data.store=..." and the like, applied last
};

// Collective: every rank loads for itself, on its own device. Throws DataError or ConfigError.
TrainedModel load_trained_model(const ModelSource& source, distributed::World& world);

// Whether a path is a run's folder.
bool is_run(const std::filesystem::path& path);

}  // namespace dbps::training

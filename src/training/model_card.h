// A model travels: what stands in the header of every checkpoint and exported file, so that it can
// be used without the run it came from.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "model/model.h"
#include "store/format.h"

namespace dbps::training {

// Metadata of model.safetensors: format, the resolved configuration (architecture, tasks with class
// names, resize, patches, mean and standard deviation), how slides were cut, step and epoch.
std::map<std::string, std::string> model_card(const config::Config& config,
                                              const std::optional<store::Settings>& slides,
                                              int64_t step, int64_t epoch);
// Throws DataError naming `path` when the metadata is not that of a dbps model.
config::Config config_of_card(const std::map<std::string, std::string>& metadata,
                              const std::filesystem::path& path);

// Copies tensors by name; throws DataError listing what does not fit, with `path` at its start.
void copy_by_name(const std::vector<std::pair<std::string, at::Tensor>>& into,
                  const std::vector<std::pair<std::string, at::Tensor>>& from,
                  const std::filesystem::path& path);

// The key training.initial_weights: a whole model, as model/model_weights.h reads it. Returns how
// the slides were cut that it has seen, where its file says so.
std::optional<store::Settings> load_initial_weights(model::Model& model,
                                                    const std::filesystem::path& path,
                                                    bool reset_heads);

}  // namespace dbps::training

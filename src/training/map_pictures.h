// Pictures of what was selected, from a prediction.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "config/config.h"
#include "data/dataset.h"
#include "training/prediction.h"

namespace dbps::training {

// Writes the JPEG `file`, as the paper's Fig. 4, of the encoded picture `bytes`, which `id` names
// in errors; makes its folder.
void write_map(const std::filesystem::path& file, const config::Config& config,
               const std::string& id, std::span<const uint8_t> bytes, const Prediction& prediction);

// The same, with the picture read from its store.
void write_map(const std::filesystem::path& file, const config::Config& config,
               const data::Dataset& dataset, const Prediction& prediction);

}  // namespace dbps::training

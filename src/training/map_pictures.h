// Pictures of what was selected, from a prediction.
#pragma once

#include <filesystem>
#include <string>

#include "config/config.h"
#include "data/dataset.h"
#include "image/image.h"
#include "training/prediction.h"

namespace dbps::training {

// Writes `<folder>/<id>.jpg` (separators of the id become "_"); makes the folder.
void write_map(const std::filesystem::path& folder, const std::string& id,
               const image::Image& picture, const Prediction& prediction);

// The same, with the picture read from its store.
void write_map(const std::filesystem::path& folder, const config::Config& config,
               const data::Dataset& dataset, const Prediction& prediction);

}  // namespace dbps::training

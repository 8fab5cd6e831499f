// How the slides were cut, or by which encoder the vectors were made, that a model has seen. It
// travels with the model: a tile of another scale, a vector of another encoder, says another thing.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "store/format.h"
#include "store/reader.h"

namespace dbps::training {

// The settings of the stores of tiles or features that the data comes from; nullopt for pictures.
// `mpp` is what all bags have in common, also where the stores were made by level; 0 where they
// differ, or nobody knows. Throws ConfigError naming two stores of different scales or encoders.
std::optional<store::Settings> slides_of(const data::Dataset& dataset);

// Throws ConfigError, naming the store, `model` and what to do, where a bag's microns a pixel lie
// beyond ingest's tolerance of what the model has seen, or where vectors are another encoder's.
// Bags whose scale nobody knows pass; vectors of which only one side tells the encoder do so with
// a warning.
void check_seen(const std::optional<store::Settings>& seen, const std::string& model,
                const store::Reader& store);
// Of all its stores.
void check_seen(const std::optional<store::Settings>& seen, const std::string& model,
                const data::Dataset& dataset);

// As metadata of a model's file: a key of its own, absent for pictures. Throws DataError naming
// `path`.
void write_slides(const std::optional<store::Settings>& slides,
                  std::map<std::string, std::string>& metadata);
std::optional<store::Settings> read_slides(const std::map<std::string, std::string>& metadata,
                                           const std::filesystem::path& path);

}  // namespace dbps::training

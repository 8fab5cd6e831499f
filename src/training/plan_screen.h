// The first screen: what will run. And `--dry-run`, which tries one step without keeping anything.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "config/config.h"
#include "data/dataset.h"
#include "distributed/world.h"
#include "training/trainer.h"

namespace dbps::training {

// Logs ranks, devices, pictures, patches, M, S, memory and steps. Rank 0.
void show_plan(const config::Config& config, const data::Dataset& dataset,
               const std::filesystem::path& folder, const distributed::World& world,
               at::Device device, const char* backend);

// Reads one batch, takes one step on a model that is then thrown away, and logs what it took.
// Collective.
void rehearse(const Session& session);

}  // namespace dbps::training

// Turns every `auto`, and every 0 that means auto, into what it stands for on this machine, once.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "data/dataset.h"
#include "distributed/world.h"

namespace dbps::training {

// What the tasks ask of the labels.
std::vector<data::TaskColumn> task_columns(const config::Config& config);

// Collective (devices). Fills in what depends on the machine: threads, micro-batches, device,
// memory bounds. Where `config` says auto and `previous` (a resumed run's resolved configuration)
// has a value, that value is kept; one line names the key when this machine cannot keep it.
config::Config resolve_machine(const config::Config& config,
                               const std::optional<config::Config>& previous,
                               distributed::World& world, at::Device device);

// Fills in training.micro_batches: one a rank. Throws ConfigError when there are fewer than ranks.
void resolve_micro_batches(config::Config& config, const distributed::World& world);

// Fills in what depends on the data: class names, patch stride, M', tokens. Then checks what only
// both together can tell: warm-up and batch size against the pictures there are. Throws
// ConfigError.
config::Config resolve_data(config::Config config, const data::Dataset& dataset);

}  // namespace dbps::training

// Turns every `auto`, and every 0 that means auto, into what it stands for on this machine, once.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "config/config.h"
#include "data/dataset.h"
#include "distributed/world.h"

namespace dbps::training {

// What the tasks ask of the labels.
std::vector<data::TaskColumn> task_columns(const config::Config& config);

// Fills in what depends on the machine: threads, device, memory bounds. A resumed run's values were
// put in before (config::keep_resolved), so that they are kept.
config::Config resolve_machine(const config::Config& config, const distributed::World& world,
                               at::Device device);

// Compute threads, and how exactly a GPU computes. Once, before the first tensor is computed.
void set_numerics(const distributed::DistributedOptions& options);

// Fills in training.micro_batches: one a data group, and as many for each home. Throws ConfigError
// when there are fewer than groups, or more than pictures in a batch, or when
// distributed.patch_group does not divide the ranks.
void resolve_micro_batches(config::Config& config, const distributed::World& world);

// Whether the stores hold what the encoder reads: pictures or tiles, whose size data.patch_size = 0
// takes over, or feature vectors, whose width encoder.features.width_in = 0 does. Throws
// ConfigError.
void match_store(config::Config& config, const data::Dataset& dataset);

// Fills in what depends on the data: width of vectors, class names, patch stride, M', tokens, and
// the metric to monitor where the first task has no accuracy. Then checks what only both together
// can tell: classes, the monitored metric, the warm-up. Throws ConfigError.
config::Config resolve_data(config::Config config, const data::Dataset& dataset);

}  // namespace dbps::training

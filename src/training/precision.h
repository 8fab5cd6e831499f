// Which types a run computes in.
#pragma once

#include <ATen/core/Tensor.h>

#include "config/config.h"
#include "distributed/world.h"
#include "training/options.h"
#include "training/pass.h"

namespace dbps::training {

// Of weights, gradients, the aggregator and the loss.
at::ScalarType tensor_type(Precision precision);
// Of the encoder. `options` holds no kAuto any more.
ComputeTypes compute_types(const TrainingOptions& options);

// Turns "auto" into "bf16" where the encoder scans this run's patches at least a fifth faster with
// it on the first rank's device, else into "fp32"; measures only if asked. Collective: every rank
// calls.
void resolve_precision(config::Config& config, at::Device device, distributed::World& world);

}  // namespace dbps::training

// What training, evaluation and prediction must do to pictures in the same way, from the
// configuration.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "config/config.h"
#include "data/batch.h"
#include "data/loader.h"
#include "model/model.h"
#include "selection/selector.h"

namespace dbps::training {

// Loader options for a training epoch, or for evaluation (no augmentation, no drop).
data::LoaderOptions loader_options(const config::Config& config, bool training, int64_t epoch,
                                   bool pin_memory);

// The batch's patches on the device and of the type of `like`, with the configuration's mean and
// standard deviation or else the encoder's. Borrows `batch`.
data::DevicePatches device_patches(const data::HostBatch& batch, const config::Config& config,
                                   model::Model& model, const at::Tensor& like);

selection::Request training_request(const config::Config& config, int64_t epoch, double exploration,
                                    std::function<void()> between_steps);
selection::Request evaluation_request(const config::Config& config,
                                      std::function<void()> between_steps);

}  // namespace dbps::training

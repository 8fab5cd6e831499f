#include "training/preprocessing.h"

#include <utility>

#include "data/grid.h"

namespace dbps::training {

data::LoaderOptions loader_options(const config::Config& config, bool training, int64_t epoch,
                                   bool pin_memory) {
  data::LoaderOptions options;
  options.data = config.data;
  options.augment = config.augment;
  options.drop = config.drop;
  options.training = training;
  options.salient = config.selection.salient;
  options.seed = config.experiment.seed;
  options.epoch = epoch;
  options.channels = static_cast<int>(config.encoder.channels);
  options.pin_memory = pin_memory;
  options.decode_threads = static_cast<int>(config.data.decode_threads);
  options.host_bytes = config.data.host_bytes;
  return options;
}

data::DevicePatches device_patches(const data::HostBatch& batch, const config::Config& config,
                                   model::Model& model, const at::Tensor& like) {
  const model::EncoderSpec& spec = model.encoder().spec();
  return data::DevicePatches(batch, config.data.mean.empty() ? spec.mean : config.data.mean,
                             config.data.std.empty() ? spec.std : config.data.std, like.device(),
                             like.scalar_type(), config.data.device_bytes);
}

selection::Request training_request(const config::Config& config, int64_t epoch, double exploration,
                                    std::function<void()> between_steps) {
  selection::Request request;
  request.training = true;
  request.salient = config.selection.salient;
  request.sub_salient = config.selection.sub_salient;
  request.scan_patches = data::scan_step(config.drop.ratio, config.selection.scan_patches);
  request.exploration = exploration;
  request.seed = config.experiment.seed;
  request.epoch = epoch;
  request.between_steps = std::move(between_steps);
  return request;
}

selection::Request evaluation_request(const config::Config& config,
                                      std::function<void()> between_steps) {
  selection::Request request;
  request.training = false;
  request.salient =
      config.selection.salient_eval > 0 ? config.selection.salient_eval : config.selection.salient;
  request.sub_salient = config.selection.sub_salient;
  request.scan_patches = config.selection.scan_patches;
  request.seed = config.experiment.seed;
  request.between_steps = std::move(between_steps);
  return request;
}

}  // namespace dbps::training

#include "training/resolve.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "training/prediction.h"

namespace dbps::training {
namespace {

int64_t physical_memory() {
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE);
}

int64_t or_else(int64_t given, int64_t automatic) { return given > 0 ? given : automatic; }

void check_steps(const config::Config& config, const data::Dataset& dataset) {
  const auto pictures = static_cast<int64_t>(dataset.of_split(data::Split::kTrain).size());
  const int64_t batch = config.training.batch_size_global;
  const int64_t steps_per_epoch = (pictures + batch - 1) / batch;
  const int64_t total = steps_per_epoch * config.training.epochs;
  const double warmup = config.optimizer.warmup_steps > 0
                            ? static_cast<double>(config.optimizer.warmup_steps)
                            : config.optimizer.warmup_epochs * static_cast<double>(steps_per_epoch);
  if (warmup > static_cast<double>(total)) {
    throw ConfigError(fmt::format(
        "{} = {} is longer than the run: {} steps of warm-up, {} steps in training.epochs = {}; "
        "lower "
        "the warm-up or train for more epochs",
        config.optimizer.warmup_steps > 0 ? "optimizer.warmup_steps" : "optimizer.warmup_epochs",
        config.optimizer.warmup_steps > 0 ? static_cast<double>(config.optimizer.warmup_steps)
                                          : config.optimizer.warmup_epochs,
        warmup, total, config.training.epochs));
  }
}

}  // namespace

std::vector<data::TaskColumn> task_columns(const config::Config& config) {
  std::vector<data::TaskColumn> columns;
  for (const model::TaskOptions& task : config.tasks) {
    columns.push_back({task.name, task.column.empty() ? task.name : task.column,
                       task_kind_name(task.kind), task.classes});
  }
  return columns;
}

config::Config resolve_machine(const config::Config& config,
                               const std::optional<config::Config>& previous,
                               distributed::World& world, at::Device device) {
  config::Config resolved = config;
  if (previous) config::keep_resolved(*previous, resolved);
  const int64_t cores_per_rank = std::max<int64_t>(1, available_cores() / world.local_size());
  const auto kind =
      device.is_cuda() ? distributed::DeviceKind::kCuda : distributed::DeviceKind::kCpu;
  if (resolved.distributed.device == distributed::DeviceKind::kAuto) {
    resolved.distributed.device = kind;
  }
  resolved.distributed.threads = or_else(resolved.distributed.threads, cores_per_rank);
  resolved.data.decode_threads = or_else(resolved.data.decode_threads, cores_per_rank);
  resolved.data.host_bytes =
      or_else(resolved.data.host_bytes, physical_memory() / 4 / world.local_size());
  return resolved;
}

void resolve_micro_batches(config::Config& config, const distributed::World& world) {
  int64_t& micro_batches = config.training.micro_batches;
  micro_batches = or_else(micro_batches, world.world_size());
  if (micro_batches >= world.world_size()) return;
  throw ConfigError(fmt::format(
      "training.micro_batches = {} cannot keep {} ranks busy: start at most {} ranks, or set "
      "training.micro_batches to a multiple of the ranks (it is part of the result)",
      micro_batches, world.world_size(), micro_batches));
}

config::Config resolve_data(config::Config config, const data::Dataset& dataset) {
  for (size_t i = 0; i < config.tasks.size(); ++i) {
    model::TaskOptions& task = config.tasks[i];
    if (task.num_classes > 0 &&
        task.num_classes != static_cast<int64_t>(dataset.tasks()[i].classes.size())) {
      throw ConfigError(fmt::format("task.{}.classes = {}, but the labels hold {} classes",
                                    task.name, task.num_classes,
                                    dataset.tasks()[i].classes.size()));
    }
    task.classes = dataset.tasks()[i].classes;
    if (!task.class_weights.empty() && task.class_weights.size() != task.classes.size()) {
      throw ConfigError(fmt::format("task.{}.class_weights has {} values for {} classes", task.name,
                                    task.class_weights.size(), task.classes.size()));
    }
  }
  if (config.data.patch_stride == 0) config.data.patch_stride = config.data.patch_size;
  if (config.selection.salient_eval == 0) config.selection.salient_eval = config.selection.salient;
  if (config.aggregator.tokens == 0) {
    config.aggregator.tokens = static_cast<int64_t>(config.tasks.size());
  }
  check_steps(config, dataset);
  return config;
}

}  // namespace dbps::training

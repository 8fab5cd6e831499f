#include "training/resolve.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text.h"
#include "data/grid.h"
#include "report/metrics.h"
#include "training/device_memory.h"
#include "training/prediction.h"
#include "training/schedule.h"

namespace dbps::training {
namespace {

int64_t physical_memory() {
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE);
}

int64_t or_else(int64_t given, int64_t automatic) { return given > 0 ? given : automatic; }

void check_steps(const config::Config& config, const data::Dataset& dataset) {
  const Schedule schedule = make_schedule(config, dataset);
  const bool in_steps = config.optimizer.warmup_steps > 0;
  const double given = in_steps ? static_cast<double>(config.optimizer.warmup_steps)
                                : config.optimizer.warmup_epochs;
  const double warmup = in_steps ? given : given * static_cast<double>(schedule.steps_per_epoch);
  if (warmup <= static_cast<double>(schedule.total_steps)) return;
  throw ConfigError(
      fmt::format("{} = {} is longer than the run: {} steps of warm-up, {} steps in "
                  "training.epochs = {}; lower "
                  "the warm-up or train for more epochs",
                  in_steps ? "optimizer.warmup_steps" : "optimizer.warmup_epochs", given, warmup,
                  schedule.total_steps, config.training.epochs));
}

// Pictures that the configuration gives one size: M and M' cannot be more than there are patches.
void check_salient(const config::Config& config) {
  const data::DataOptions& data = config.data;
  if (data.resize != data::Resize::kExact || data.height == 0 ||
      model::reads_vectors(config.encoder) ||
      selection::method_of(config.selection).keeps_every_patch) {
    return;
  }
  const int64_t patches = data::make_grid(data, {data.width, data.height}).size();
  const selection::SelectionOptions& selection = config.selection;
  for (const auto& [key, salient] :
       {std::pair{"selection.salient (M)", selection.salient},
        std::pair{"selection.salient_eval (M')", selection.salient_eval}}) {
    if (salient <= patches) continue;
    throw ConfigError(
        fmt::format("{} = {} is more than the N = {} patches of a picture ({} x {} pixels, wide x "
                    "high, in patches of {}): lower it, or see data.height, data.width and "
                    "data.patch_size",
                    key, salient, patches, data.width, data.height, data.patch_size));
  }
}

void check_monitor(const config::Config& config) {
  std::vector<std::string> known = {"loss"};
  for (size_t i = 0; i < config.tasks.size(); ++i) {
    for (const std::string& metric : report::metric_names(task_kind_name(config.tasks[i].kind))) {
      if (i == 0) known.push_back(metric);
      known.push_back(config.tasks[i].name + "." + metric);
    }
  }
  const std::string& monitor = config.validation.monitor;
  if (std::find(known.begin(), known.end(), monitor) != known.end()) return;
  throw ConfigError(
      fmt::format("validation.monitor = \"{}\" is not a metric of this run; there are {}", monitor,
                  join_words(known, 20)));
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

void set_numerics(const distributed::DistributedOptions& options) {
  at::set_num_threads(static_cast<int>(options.threads));
  at::Context& context = at::globalContext();
  context.setAllowTF32CuBLAS(options.tf32);
  context.setAllowTF32CuDNN(options.tf32);
  if (!options.deterministic) return;
  // cuBLAS reads this when it starts, which it has not yet.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicCuDNN(true);
  context.setBenchmarkCuDNN(false);
}

config::Config resolve_machine(const config::Config& config, const distributed::World& world,
                               at::Device device) {
  config::Config resolved = config;
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
  // A batch's pixels stand beside the model, its activations and the optimiser.
  resolved.data.device_bytes = or_else(resolved.data.device_bytes, free_device_bytes(device) / 4);
  return resolved;
}

void resolve_micro_batches(config::Config& config, const distributed::World& world) {
  int64_t& micro_batches = config.training.micro_batches;
  const int64_t groups = distributed::patch_group_of(world, config.distributed).num_groups;
  const std::string ranks = groups == world.world_size() ? "rank" : "patch group";
  const int64_t homes = std::max<int64_t>(1, config.data.stage_homes);
  micro_batches = or_else(micro_batches, (groups + homes - 1) / homes * homes);
  if (micro_batches > config.training.batch_size_global) {
    throw ConfigError(fmt::format(
        "training.batch_size_global = {} gives {} micro-batches less than a picture each: start at "
        "most {}, or raise the batch size",
        config.training.batch_size_global, micro_batches,
        counted(config.training.batch_size_global, ranks)));
  }
  if (micro_batches >= groups) return;
  throw ConfigError(
      fmt::format("training.micro_batches = {} cannot keep {} busy: start at most {}, or set "
                  "training.micro_batches to a multiple of the {}s (it is part of the result)",
                  micro_batches, counted(groups, ranks), counted(micro_batches, ranks), ranks));
}

void match_store(config::Config& config, const data::Dataset& dataset) {
  const bool vectors = dataset.kind() == store::Kind::kFeatures;
  const std::string folder = dataset.store(0).folder().string();
  if (vectors != model::reads_vectors(config.encoder)) {
    throw ConfigError(fmt::format(
        "data.store = \"{}\" holds {}, but encoder.kind = \"{}\" reads {}: {}", folder,
        store::kind_name(dataset.kind()), config.encoder.kind, vectors ? "pictures" : "features",
        vectors ? "set encoder.kind = \"features\", or give a store of images"
                : "give a store of features, by `dbps extract` or `dbps ingest`"));
  }
  switch (dataset.kind()) {
    case store::Kind::kImages:
      return config::fit_pictures(config);
    case store::Kind::kTiles:
      return config::fit_tiles(config, dataset.tile_size());
    case store::Kind::kFeatures:
      break;
  }
  int64_t& width = config.encoder.width_in;
  if (width == 0) width = dataset.feature_width();
  if (width != dataset.feature_width()) {
    throw ConfigError(
        fmt::format("encoder.features.width_in = {}, but data.store = \"{}\" holds vectors of {} "
                    "numbers",
                    width, folder, dataset.feature_width()));
  }
}

config::Config resolve_data(config::Config config, const data::Dataset& dataset) {
  match_store(config, dataset);
  for (size_t i = 0; i < config.tasks.size(); ++i) {
    model::TaskOptions& task = config.tasks[i];
    if (task.num_classes > 0 &&
        task.num_classes != static_cast<int64_t>(dataset.tasks()[i].classes.size())) {
      throw ConfigError(fmt::format(
          "task.{}.classes = {}, but the labels hold {}", task.name, task.num_classes,
          counted(static_cast<int64_t>(dataset.tasks()[i].classes.size()), "class", "classes")));
    }
    task.classes = dataset.tasks()[i].classes;
    if (!task.class_weights.empty() && task.class_weights.size() != task.classes.size()) {
      throw ConfigError(fmt::format(
          "task.{}.class_weights has {} for {} classes", task.name,
          counted(static_cast<int64_t>(task.class_weights.size()), "number"), task.classes.size()));
    }
  }
  if (config.data.patch_stride == 0) config.data.patch_stride = config.data.patch_size;
  if (config.selection.salient_eval == 0) config.selection.salient_eval = config.selection.salient;
  if (config.aggregator.tokens == 0) {
    config.aggregator.tokens = static_cast<int64_t>(config.tasks.size());
  }
  std::string& monitor = config.validation.monitor;
  if (monitor == "accuracy" && config.tasks[0].kind == model::TaskKind::kMultilabel) {
    monitor = "exact_match";
  }
  check_salient(config);
  check_monitor(config);
  check_steps(config, dataset);
  return config;
}

}  // namespace dbps::training

#include "training/run_folder.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>

#include "base/files.h"

namespace dbps::training {
namespace {

using Json = nlohmann::ordered_json;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Which encoders made the vectors of the stores, where they say.
std::string features_origin(const data::Dataset& dataset) {
  std::set<std::string> origins;
  for (int64_t i = 0; i < dataset.num_stores(); ++i) {
    origins.insert(store::origin_text(dataset.store(i).settings().encoder));
  }
  origins.erase("");
  return fmt::format("{}", fmt::join(origins, "; "));
}

}  // namespace

std::filesystem::path RunFolder::rank_log(int rank) const {
  return path / "logs" / fmt::format("rank-{}.jsonl", rank);
}

std::filesystem::path RunFolder::predictions(data::Split split) const {
  return path / fmt::format("predictions-{}.csv", data::split_name(split));
}

bool RunFolder::begun() const { return std::filesystem::exists(config()); }

bool RunFolder::vanished() const {
  std::error_code out_of_reach;
  return !std::filesystem::exists(config(), out_of_reach);
}

void write_provenance(const RunFolder& folder, const config::Config& config,
                      const data::Dataset& dataset, distributed::World& world,
                      const std::string& program_version, const std::string& command_line) {
  const std::vector<std::string> hosts = world.all_gather(world.host());
  if (world.rank() != 0) return;
  Json json;
  json["dbps"] = program_version;
  json["libtorch"] = TORCH_VERSION;
  json["cpu_capability"] = at::get_cpu_capability();
  json["device"] = config.distributed.device == distributed::DeviceKind::kCuda ? "cuda" : "cpu";
  json["ranks"] = world.world_size();
  json["hosts"] = hosts;
  json["threads_per_rank"] = config.distributed.threads;
  json["micro_batches"] = config.training.micro_batches;
  json["seed"] = config.experiment.seed;
  json["store"] = config.data.store;
  json["store_fingerprint"] = dataset.fingerprint();
  if (const std::string origin = features_origin(dataset); !origin.empty()) {
    json["features"] = origin;
  }
  json["labels_hash"] = dataset.labels_hash();
  json["command_line"] = command_line;
  json["slurm_job"] = environment("SLURM_JOB_ID");
  json["slurm_restarts"] = environment("SLURM_RESTART_COUNT");
  json["started"] = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  write_file_atomic(folder.provenance(), json.dump(1) + "\n");
}

}  // namespace dbps::training

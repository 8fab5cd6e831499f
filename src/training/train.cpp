#include "training/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "report/html.h"
#include "training/device_memory.h"
#include "training/plan_screen.h"
#include "training/precision.h"
#include "training/resolve.h"
#include "training/run_folder.h"
#include "training/staging.h"
#include "training/trainer.h"

namespace dbps::training {
namespace {

namespace fs = std::filesystem;

// "" without a scheduler.
std::string job_name() {
  const char* array = std::getenv("SLURM_ARRAY_JOB_ID");
  const char* task = std::getenv("SLURM_ARRAY_TASK_ID");
  if (array != nullptr && task != nullptr) return fmt::format("{}_{}", array, task);
  const char* job = std::getenv("SLURM_JOB_ID");
  return job == nullptr ? "" : job;
}

// The run's folder. With --fresh, the first NAME-2, NAME-3, ... that has no run yet; rank 0 looks.
RunFolder choose_folder(const TrainRequest& request, distributed::World& world) {
  const fs::path first =
      fs::path(request.config.experiment.output) / config::expand_name(request.config, job_name());
  RunFolder folder{first};
  if (request.fresh && world.rank() == 0) {
    for (int n = 2; folder.begun(); ++n) folder.path = fmt::format("{}-{}", first.string(), n);
  }
  folder.path = world.broadcast(folder.path.string(), 0);
  return folder;
}

// What an earlier session of this run left: rank 0 reads, all learn of it.
struct Earlier {
  std::unique_ptr<checkpoint::RunLock> lock;  // rank 0: of a folder that holds a run
  std::optional<checkpoint::Loaded> loaded;   // rank 0
  std::optional<RunState> state;              // every rank
  std::optional<config::Config> config;
};

// Rank 0. Looking for the newest whole checkpoint tidies the folder, which only its one writer may.
std::optional<checkpoint::Loaded> load_earlier(const TrainRequest& request,
                                               const RunFolder& folder) {
  checkpoint::Manager manager(folder.path, request.config.checkpoint.keep);
  if (request.resume == "never") {
    throw ConfigError(
        fmt::format("{} holds a run already: drop --resume never to go on with it, or add --fresh",
                    folder.path.string()));
  }
  if (request.resume.empty()) throw ConfigError("--resume is empty: auto, never or a checkpoint");
  if (request.resume == "auto") {
    if (!request.dry_run) return manager.load_latest();
    if (manager.names().empty()) return std::nullopt;
    return manager.load("latest");
  }
  fs::path path = fs::absolute(request.resume).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  if (path.parent_path() != fs::absolute(folder.path / "checkpoints").lexically_normal()) {
    throw ConfigError(
        fmt::format("--resume {}: give a checkpoint of {}; another run's weights go into "
                    "training.initial_weights",
                    request.resume, (folder.path / "checkpoints").string()));
  }
  return manager.load(path.filename().string());
}

Earlier find_earlier(const TrainRequest& request, const RunFolder& folder,
                     distributed::World& world) {
  Earlier earlier;
  distributed::all_or_none(world, "looking for a checkpoint", [&] {
    if (world.rank() != 0) return;
    if (!folder.begun()) {
      if (request.resume == "auto" || request.resume == "never") return;
      throw ConfigError(fmt::format("--resume {}: {} holds no run to go on with", request.resume,
                                    folder.path.string()));
    }
    if (!request.dry_run) {
      earlier.lock = std::make_unique<checkpoint::RunLock>(folder.path, world.host());
    }
    earlier.loaded = load_earlier(request, folder);
  });
  const std::string text = world.broadcast(earlier.loaded ? earlier.loaded->snapshot.state : "", 0);
  if (text.empty()) return earlier;
  earlier.state = run_state_from_json(text, "state.json");
  earlier.config = config::parse(earlier.state->config, "the checkpoint's configuration", {});
  return earlier;
}

// Whether there is nothing left to train; says so. Throws ConfigError for fewer epochs than
// trained.
bool is_finished(const Earlier& earlier, const config::Config& config, const RunFolder& folder,
                 bool first_rank) {
  if (!earlier.state) return false;
  const RunState& state = *earlier.state;
  const int64_t epochs = config.training.epochs;
  if (epochs < state.evaluated_epochs) {
    throw ConfigError(fmt::format("training.epochs = {}, but {} has trained {} already", epochs,
                                  folder.path.string(), state.evaluated_epochs));
  }
  if (state.finished && (state.patience_spent || epochs == state.evaluated_epochs)) {
    if (first_rank) {
      log::info(
          "{} is finished ({}{}, best {} {:.4f} at epoch {}); --fresh starts another. "
          "Report: {}",
          folder.path.string(), counted(state.evaluated_epochs, "epoch"),
          state.patience_spent ? ", by validation.patience_epochs" : "", config.validation.monitor,
          state.best.value, state.best.epoch, folder.report().string());
    }
    return true;
  }
  if (first_rank && epochs != earlier.config->training.epochs) {
    log::warning(
        "training.epochs was {} and is now {}: the learning rate's schedule changes from "
        "here on",
        earlier.config->training.epochs, epochs);
  }
  return false;
}

void refuse_other_run(const TrainRequest& request, const config::Config& config,
                      const Earlier& earlier, const data::Dataset& dataset,
                      const RunFolder& folder) {
  if (!earlier.state) return;
  const auto accepted = [&](const std::string& key) {
    return std::find(request.accept.begin(), request.accept.end(), key) != request.accept.end();
  };
  std::vector<config::Difference> differences =
      config::resume_conflicts(*earlier.config, config, request.accept);
  if (earlier.state->store_fingerprint != dataset.fingerprint() && !accepted("data.store")) {
    differences.push_back({"data.store", earlier.state->store_fingerprint, dataset.fingerprint()});
  }
  if (earlier.state->labels_hash != dataset.labels_hash() && !accepted("data.labels")) {
    differences.push_back({"data.labels", earlier.state->labels_hash, dataset.labels_hash()});
  }
  if (differences.empty()) return;
  std::string text;
  for (const config::Difference& d : differences) {
    text += fmt::format("; {} was {} and is now {}", d.key, d.before, d.now);
  }
  throw ConfigError(fmt::format(
      "{} was begun with another configuration{}; start anew with --fresh, or add --accept {}",
      folder.path.string(), text, differences.front().key));
}

void write_report(const RunFolder& folder) {
  const std::string page = report::render_report({folder.path});
  write_file_atomic(folder.report(), page);
}

void run_session(const TrainRequest& request, const Session& session, data::Dataset& dataset,
                 Earlier& earlier) {
  const RunFolder& folder = session.folder;
  const bool first_rank = session.world.rank() == 0;
  Trainer trainer(session);  // what is wrong with the model is said before anything is written
  distributed::all_or_none(session.world, "opening the run's folder", [&] {
    if (!first_rank) return;
    make_folders(folder.path);
    if (!earlier.lock) {
      earlier.lock = std::make_unique<checkpoint::RunLock>(folder.path, session.world.host());
    }
  });
  if (earlier.state) trainer.restore(earlier.loaded ? &*earlier.loaded : nullptr);
  distributed::all_or_none(session.world, "writing the run's folder", [&] {
    if (!first_rank) return;
    write_file_atomic(folder.config(), config::to_toml(session.config, /*comments=*/false));
    log::also_to_file(folder.log());
    if (earlier.state) log::info("going on from step {}", trainer.state().step);
  });
  write_provenance(folder, session.config, session.dataset, session.world, request.program_version,
                   request.command_line);
  const std::vector<StagedCopy> copies =
      stage(session.config, dataset, session.world, session.watchdog);
  trainer.run();
  first_rank ? session.watchdog.phase("report") : session.watchdog.wait("report");
  distributed::all_or_none(session.world, "writing the report", [&] {
    if (first_rank) write_report(folder);
  });
  if (!first_rank) return;
  const RunState& state = trainer.state();
  const std::string best = state.best.step < 0 ? ""
                                               : fmt::format("best {} {:.4f} (epoch {}); ",
                                                             session.config.validation.monitor,
                                                             state.best.value, state.best.epoch);
  log::info("done: {} in {}; {}report: {}", counted(state.step, "step"),
            format_seconds(state.seconds), best, folder.report().string());
}

}  // namespace

std::string train(const TrainRequest& request, distributed::World& world) {
  distributed::Watchdog watchdog(request.config.distributed.deadline_seconds, world, request.phase);
  const RunFolder folder = choose_folder(request, world);
  Earlier earlier = find_earlier(request, folder, world);
  config::Config asked = request.config;
  if (earlier.config) config::keep_resolved(*earlier.config, asked);
  const at::Device device = distributed::choose_device(world, asked.distributed);
  config::Config machine = resolve_machine(asked, world, device);
  config::fit_homes(machine, count_places(machine, world));
  resolve_micro_batches(machine, world);
  check_placement(machine, world);
  set_numerics(machine.distributed);
  count_tensor_bytes(device);
  data::Dataset dataset(machine.data, task_columns(machine));
  resolve_precision(machine, device, world);
  const config::Config config = resolve_data(machine, dataset);
  refuse_other_run(request, config, earlier, dataset, folder);
  if (is_finished(earlier, config, folder, world.rank() == 0)) return folder.path;

  const std::unique_ptr<distributed::Collectives> collectives =
      distributed::make_collectives(world, config.distributed, device);
  const std::unique_ptr<distributed::Collectives> group =
      distributed::make_group_collectives(world, config.distributed, device);
  if (world.rank() == 0) {
    show_plan(config, dataset, folder.path, world, device, collectives->name());
  }
  const Session session = {config, dataset, world, *collectives, *group, watchdog, device, folder};
  if (request.dry_run) {
    check_stage_room(config, dataset, world);
    rehearse(session);
  } else {
    run_session(request, session, dataset, earlier);
  }
  return folder.path;
}

}  // namespace dbps::training

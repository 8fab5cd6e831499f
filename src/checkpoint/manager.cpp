#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <exception>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "checkpoint/snapshot_folder.h"

namespace dbps::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUnfinished = ".tmp";     // being written, or being removed
constexpr const char* kReplaced = ".replaced";  // makes way for another of the same step
constexpr const char* kDamaged = ".damaged";
constexpr const char* kAbandoned = ".abandoned";  // later than where the run went on from

std::optional<int64_t> step_of(const std::string& name) {
  constexpr std::string_view kPrefix = "step-";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
  if (checkpoint_name(step) != name) return std::nullopt;
  return step;
}

// Throws RuntimeFault.
void rename_entry(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) {
    throw RuntimeFault(fmt::format("cannot rename {} to {}: {}", from.string(),
                                   to.filename().string(), error.message()));
  }
}

// Throws RuntimeFault.
void remove_entry(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) {
    throw RuntimeFault(fmt::format("cannot remove {}: {}", path.string(), error.message()));
  }
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::vector<std::string> entries(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  return names;
}

// Oldest first.
std::vector<int64_t> steps_in(const fs::path& folder) {
  std::vector<int64_t> steps;
  for (const std::string& name : entries(folder)) {
    if (const auto step = step_of(name)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

// What a pointer (`latest`, `best`) names; "" when there is none.
std::string pointed_to(const fs::path& pointer) {
  return is_there(pointer) ? trim(read_text_file(pointer)) : "";
}

// Ends what an interrupted writer had begun.
void clear_leftovers(const fs::path& folder) {
  for (const std::string& name : entries(folder)) {
    if (name.find(kUnfinished) != std::string::npos) {
      remove_entry(folder / name);
    } else if (name.ends_with(kReplaced)) {
      const fs::path original =
          folder / name.substr(0, name.size() - std::string(kReplaced).size());
      if (is_there(original)) {
        remove_entry(folder / name);
      } else {
        rename_entry(folder / name, original);
      }
    }
  }
}

void put_in_place(const fs::path& temporary, const fs::path& target) {
  const fs::path replaced = target.string() + kReplaced;
  if (is_there(target)) rename_entry(target, replaced);
  rename_entry(temporary, target);
  sync_folder(target.parent_path());
  remove_entry(replaced);
}

// The new checkpoint stands by now, so what cannot be removed is only reported.
void prune(const fs::path& folder, int64_t keep) {
  const std::string latest = pointed_to(folder / "latest");
  const std::string best = pointed_to(folder / "best");
  const std::vector<int64_t> steps = steps_in(folder);
  const auto count = static_cast<int64_t>(steps.size());
  for (int64_t i = 0; i < count - keep; ++i) {
    const std::string name = checkpoint_name(steps[i]);
    if (name == latest || name == best) continue;
    // Renamed first: half a checkpoint must not look like a whole one.
    const fs::path unfinished = folder / (name + kUnfinished);
    std::error_code error;
    fs::rename(folder / name, unfinished, error);
    if (!error) fs::remove_all(unfinished, error);
    if (error) {
      log::warning("cannot remove the old checkpoint {}: {}", (folder / name).string(),
                   error.message());
    }
  }
}

std::string last_good(const fs::path& folder) {
  if (!is_there(folder.parent_path())) {
    return fmt::format("{} is gone, with what was saved there", folder.parent_path().string());
  }
  const std::vector<int64_t> steps = steps_in(folder);
  return steps.empty() ? "no checkpoint was saved before"
                       : "the last good checkpoint is " + checkpoint_name(steps.back());
}

// Without its parents: a run's folder that has vanished, perhaps with its file system, must not be
// made anew in another place.
void make_checkpoints_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) {
    throw RuntimeFault(
        fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
  }
}

void commit(const fs::path& folder, int64_t keep, const Snapshot& snapshot, bool best) {
  const std::string name = checkpoint_name(snapshot.step);
  const fs::path temporary = folder / (name + kUnfinished);
  try {
    make_checkpoints_folder(folder);
    clear_leftovers(folder);
    make_folders(temporary);
    write_snapshot(temporary, snapshot);
    put_in_place(temporary, folder / name);
    write_file_atomic(folder / "latest", name + "\n");
    if (best) write_file_atomic(folder / "best", name + "\n");
    prune(folder, keep);
  } catch (const std::exception& error) {
    try {
      clear_leftovers(folder);
    } catch (const std::exception&) {
      // The next save or start tries again.
    }
    throw RuntimeFault(
        fmt::format("checkpoint {} is not saved: {}; {}", name, error.what(), last_good(folder)));
  }
}

NamedTensors on_host(const NamedTensors& tensors) {
  NamedTensors copies;
  for (const auto& [name, tensor] : tensors) {
    copies.emplace_back(name, tensor.detach().to(at::TensorOptions().device(at::kCPU),
                                                 /*non_blocking=*/false, /*copy=*/true,
                                                 at::MemoryFormat::Contiguous));
  }
  return copies;
}

void set_aside(const fs::path& checkpoint, const char* why) {
  fs::path target = checkpoint.string() + why;
  for (int i = 2; is_there(target); ++i) {
    target = fmt::format("{}{}-{}", checkpoint.string(), why, i);
  }
  rename_entry(checkpoint, target);
}

}  // namespace

std::string checkpoint_name(int64_t step) { return fmt::format("step-{:08d}", step); }

struct Manager::State {
  fs::path folder;
  int64_t keep = 0;
  std::thread writer;
  std::exception_ptr failure;  // of the writer; read only once it is joined
  std::atomic<bool> failed{false};
};

Manager::Manager(fs::path run_folder, int64_t keep) : state_(std::make_unique<State>()) {
  state_->folder = std::move(run_folder) / "checkpoints";
  state_->keep = std::max<int64_t>(keep, 1);
}

Manager::~Manager() {
  try {
    wait();
  } catch (const std::exception& error) {
    log::error("{}", error.what());
  }
}

void Manager::save(const Snapshot& snapshot, bool best) {
  wait();
  Snapshot copy;
  copy.step = snapshot.step;
  copy.model = on_host(snapshot.model);
  copy.optimizer = on_host(snapshot.optimizer);
  copy.model_metadata = snapshot.model_metadata;
  copy.state = snapshot.state;
  state_->writer = std::thread([state = state_.get(), copy = std::move(copy), best] {
    try {
      commit(state->folder, state->keep, copy, best);
    } catch (...) {
      state->failure = std::current_exception();
      state->failed = true;
    }
  });
}

void Manager::wait() {
  if (state_->writer.joinable()) state_->writer.join();
  state_->failed = false;
  if (state_->failure) std::rethrow_exception(std::exchange(state_->failure, nullptr));
}

void Manager::check() {
  if (state_->failed) wait();
}

std::string Manager::what_stands() {
  if (state_->writer.joinable()) state_->writer.join();
  state_->failure = nullptr;
  return last_good(state_->folder);
}

std::optional<Loaded> Manager::load_latest() {
  wait();
  const fs::path& folder = state_->folder;
  clear_leftovers(folder);
  std::vector<fs::path> damaged;
  std::string why;
  std::optional<Loaded> loaded;
  const std::vector<int64_t> steps = steps_in(folder);
  for (auto step = steps.rbegin(); step != steps.rend() && !loaded; ++step) {
    const fs::path candidate = folder / checkpoint_name(*step);
    try {
      loaded = Loaded{candidate, read_snapshot(candidate, *step)};
    } catch (const DataError& error) {
      log::warning("{}", error.what());
      if (why.empty()) why = error.what();
      damaged.push_back(candidate);
    }
  }
  if (steps.empty() && is_there(folder / "latest")) {
    throw DataError(
        fmt::format("{} names {}, but no checkpoint is there: put them back, or start "
                    "anew with --fresh",
                    (folder / "latest").string(), pointed_to(folder / "latest")));
  }
  if (!loaded && !damaged.empty()) {
    throw DataError(
        fmt::format("none of the checkpoints in {} is whole ({})", folder.string(), why));
  }
  for (const fs::path& checkpoint : damaged) {
    log::warning("{} is set aside, {} is used", checkpoint.string(),
                 loaded->folder.filename().string());
    set_aside(checkpoint, kDamaged);
  }
  if (!damaged.empty()) {
    write_file_atomic(folder / "latest", loaded->folder.filename().string() + "\n");
  }
  return loaded;
}

Loaded Manager::load(const std::string& name) {
  wait();
  const fs::path& folder = state_->folder;
  std::string resolved = name;
  if (name == "best" || name == "latest") {
    resolved = pointed_to(folder / name);
    if (resolved.empty()) {
      throw DataError(fmt::format(
          "{} is not there: no checkpoint is the {} one{}", (folder / name).string(), name,
          name == "best" ? " before a validation: --checkpoint latest takes "
                           "the last one"
                         : ""));
    }
    if (!step_of(resolved)) {
      throw DataError(
          fmt::format("{} is damaged: it names no checkpoint", (folder / name).string()));
    }
  }
  const std::optional<int64_t> step = step_of(resolved);
  if (!step || !fs::is_directory(folder / resolved)) {
    const std::string why = fmt::format("{} is not a checkpoint; there are {}",
                                        (folder / resolved).string(), join_words(names()));
    if (resolved == name) throw ConfigError(why);
    throw DataError(why);
  }
  return Loaded{folder / resolved, read_snapshot(folder / resolved, *step)};
}

void Manager::go_on_from(int64_t step, int64_t best_step) {
  wait();
  const fs::path& folder = state_->folder;
  for (const int64_t later : steps_in(folder)) {
    if (later > step) set_aside(folder / checkpoint_name(later), kAbandoned);
  }
  write_file_atomic(folder / "latest", checkpoint_name(step) + "\n");
  if (best_step >= 0 && is_there(folder / checkpoint_name(best_step))) {
    write_file_atomic(folder / "best", checkpoint_name(best_step) + "\n");
  }
}

std::vector<Listing> Manager::list() const {
  const fs::path& folder = state_->folder;
  const std::string latest = pointed_to(folder / "latest");
  const std::string best = pointed_to(folder / "best");
  std::vector<Listing> listings;
  for (const int64_t step : steps_in(folder)) {
    Listing listing;
    listing.name = checkpoint_name(step);
    listing.step = step;
    listing.latest = listing.name == latest;
    listing.best = listing.name == best;
    const fs::path checkpoint = folder / listing.name;
    try {
      verify_manifest(checkpoint, step);
    } catch (const DataError& error) {
      listing.damage = error.what();
    }
    for (const std::string& file : entries(checkpoint)) {
      std::error_code gone;
      const uintmax_t bytes = fs::file_size(checkpoint / file, gone);
      if (!gone) listing.bytes += bytes;
    }
    if (is_there(checkpoint)) listings.push_back(std::move(listing));
  }
  return listings;
}

std::vector<std::string> Manager::names() const {
  std::vector<std::string> names;
  for (const int64_t step : steps_in(state_->folder)) names.push_back(checkpoint_name(step));
  return names;
}

}  // namespace dbps::checkpoint

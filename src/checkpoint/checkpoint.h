// Checkpoints of a run: `<run>/checkpoints/step-00001200/`, with `latest` and `best` beside them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"

namespace dbps::checkpoint {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// What one checkpoint holds. `state` is the JSON text of state.json; `model_metadata` travels in
// the header of model.safetensors.
struct Snapshot {
  int64_t step = 0;
  NamedTensors model;
  NamedTensors optimizer;
  std::map<std::string, std::string> model_metadata;
  std::string state;
};

struct Loaded {
  std::filesystem::path folder;
  Snapshot snapshot;  // tensors on the CPU, in order of their names
};

// One checkpoint as `Manager::list` finds it.
struct Listing {
  std::string name;
  int64_t step = 0;
  uint64_t bytes = 0;  // of all its files
  bool latest = false;
  bool best = false;
  std::string damage;  // which file is missing, cut short or altered; "": every checksum holds
};

// The folder's name of a step's checkpoint: "step-00001200".
std::string checkpoint_name(int64_t step);

// Writes and finds checkpoints of one run folder. Rank 0 only; other ranks never touch the files.
// save() copies the tensors to host memory, returns, and writes in a thread of its own; at most one
// write is in flight (a second save waits for the first).
// The constructor, load(), names() and list() change no file, so that a run can be looked at while
// it writes; save() and load_latest() clear what an interrupted writer left, and belong to the
// holder of RunLock.
class Manager {
 public:
  Manager(std::filesystem::path run_folder, int64_t keep);
  ~Manager();  // waits for the write in flight; a failure then is logged

  // Protocol: temporary folder, files, fsync of each and of the folder, rename, then `latest`, then
  // `best` when asked, then pruning (never what `latest` or `best` name). The run's folder must be
  // there. Throws RuntimeFault when an earlier write failed; the last good checkpoint stands.
  void save(const Snapshot& snapshot, bool best);
  void wait();   // until nothing is in flight; throws as save()
  void check();  // throws as save() when the last write has failed by now; does not wait
  // "the last good checkpoint is step-00001200", for the line that ends a run; waits for the write in
  // flight and forgets its failure.
  std::string what_stands();

  // The newest whose checksums hold; a bad one is renamed to `<name>.damaged`, logged, and the one
  // before is used. nullopt when there is none. Throws DataError when checkpoints exist but none
  // holds; they then keep their names, so that the next start does not take the run for a new one.
  std::optional<Loaded> load_latest();
  // "best", "latest", or a checkpoint's name. Throws DataError naming the file that is damaged,
  // ConfigError when a name is not that of a checkpoint here.
  Loaded load(const std::string& name);
  // Makes the folder agree with a run that goes on from the checkpoint of `step`: later ones are
  // renamed to `<name>.abandoned`, `latest` names it, and `best` names that of `best_step` when it
  // is there. Belongs to the holder of RunLock. Throws RuntimeFault.
  void go_on_from(int64_t step, int64_t best_step);
  std::vector<std::string> names() const;  // oldest first
  // Oldest first; reads every byte. One that is pruned meanwhile is left out.
  std::vector<Listing> list() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One writer a run folder: `<run>/lock` holds host, process and job. Throws ConfigError when
// another process holds it. Released when destroyed, and by the kernel when the process dies. On a
// file system without locks the file's existence is the lock, which is logged; one left behind is
// then taken over only on the host that left it, once that process is gone.
class RunLock {
 public:
  RunLock(const std::filesystem::path& run_folder, const std::string& host);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
};

}  // namespace dbps::checkpoint

// What can be measured: one file and one registration a benchmark.
#pragma once

#include <string>
#include <vector>

#include "bench/harness.h"
#include "distributed/world.h"

namespace dbps::bench {

struct Settings {
  std::string store;   // a store's folder; "": a benchmark that needs one makes it and removes it
  std::string folder;  // where that one is made; "": the system's for temporary files
  double megabytes = 256;  // its size; of a given store, no more than this is read
  int64_t patches = 64;    // scanned at once
  int64_t pictures = 4;    // of a step
  int threads = 1;
  int rounds = 7;
  double turn_seconds = 0.25;
  distributed::World* world = nullptr;  // null: one process

  int num_ranks() const { return world == nullptr ? 1 : world->world_size(); }
};

// How the harness runs under these settings.
Pacing pacing_of(const Settings& settings);
// 1 and all threads; one entry where they are the same.
std::vector<int> thread_counts(const Settings& settings);
// "1 thread", "4 threads"
std::string threads_name(int threads);

struct Report {
  std::string name;
  std::string of;  // what was worked on: "268 MB in 256 pictures"
  std::vector<Comparison> comparisons;
  std::vector<std::string> notes;  // what the rates do not say
};

struct Benchmark {
  std::string name;
  std::string what;          // the subject and its limits, for --help
  bool needs_store = false;  // of slides, given: it makes none of its own
  bool on_ranks = false;     // shared by the ranks of mpirun; the others measure one process
  // Throws ConfigError for settings, DataError for a store. With on_ranks collective; `name` of the
  // report is set by the caller.
  Report (*run)(const Settings& settings);
};

// In the order of a picture's way; the one place where benchmarks are known by name.
const std::vector<Benchmark>& benchmarks();
// Throws ConfigError naming the nearest known one.
const Benchmark& find_benchmark(const std::string& name);

Report run_scan(const Settings& settings);
Report run_step(const Settings& settings);
Report run_plan(const Settings& settings);
Report run_read(const Settings& settings);
Report run_decode(const Settings& settings);
Report run_reduce(const Settings& settings);  // settings.world is given; collective

}  // namespace dbps::bench

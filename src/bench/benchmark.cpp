#include "bench/benchmark.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace dbps::bench {

Pacing pacing_of(const Settings& settings) {
  Pacing pacing;
  pacing.rounds = settings.rounds;
  pacing.turn_seconds = settings.turn_seconds;
  if (settings.num_ranks() > 1) {
    pacing.most_of_ranks = [world = settings.world](int64_t mine) { return world->max(mine); };
  }
  return pacing;
}

std::vector<int> thread_counts(const Settings& settings) {
  if (settings.threads == 1) return {1};
  return {1, settings.threads};
}

std::string threads_name(int threads) { return counted(threads, "thread"); }

const std::vector<Benchmark>& benchmarks() {
  static const std::vector<Benchmark> all = {
      {"plan",
       "opening STORE, of slides, beside reading its tables, and beside planning an epoch on it",
       true, false, run_plan},
      {"read", "a store's reader beside a bare loop of pread and CRC32C, and beside pread alone",
       false, false, run_read},
      {"decode", "JPEG as the loader decodes it, beside libjpeg-turbo alone on as many threads",
       false, false, run_decode},
      {"scan",
       "ResNet-18 as the scan runs it, beside the same network operator by operator, and beside "
       "matrix products",
       false, false, run_scan},
      {"step", "a training step, beside the same arithmetic operator by operator", false, false,
       run_step},
      {"reduce",
       "ResNet-18's gradients through the reducer, beside a memory copy of them and, on several "
       "ranks, one plain sum over them",
       false, true, run_reduce},
  };
  return all;
}

const Benchmark& find_benchmark(const std::string& name) {
  std::vector<std::string> names;
  for (const Benchmark& benchmark : benchmarks()) {
    if (benchmark.name == name) return benchmark;
    names.push_back(benchmark.name);
  }
  const std::string near = nearest(name, names);
  throw ConfigError(
      near.empty() ? fmt::format("no benchmark is called {}: there are {}", name, join_words(names))
                   : fmt::format("no benchmark is called {}; did you mean {}?", name, near));
}

}  // namespace dbps::bench

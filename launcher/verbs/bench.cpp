// `dbps bench [NAME] [STORE]`
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "base/parallel.h"
#include "bench/benchmark.h"
#include "bench/report.h"
#include "launcher/verbs/verbs.h"

namespace dbps::launcher {
namespace {

constexpr const char* kHelp = R"(
Each is measured in turns with its limits: a warm-up, then rounds in which every contender works for
some time. Printed are the median rate and its quartiles, and the median over the rounds of the
subject's share of each limit. Without NAME all of them run, one after the other, but `plan`. Anything else that
runs on the machine lowers the rates; the shares change little. See docs/performance.md.

Examples:
  dbps bench
  dbps bench read my_store --threads 8
  dbps bench --rounds 15 --json > bench.json)";

struct Arguments {
  std::string name;
  bench::Settings settings;
};

std::string footer() {
  std::string text = "What is measured:\n";
  for (const bench::Benchmark& one : bench::benchmarks()) {
    text += fmt::format("  {:<8}{}\n", one.name, one.what);
  }
  return text + kHelp;
}

std::vector<const bench::Benchmark*> chosen(const Arguments& arguments) {
  const bool alone = arguments.settings.num_ranks() == 1;
  std::vector<const bench::Benchmark*> result;
  if (!arguments.name.empty()) {
    result.push_back(&bench::find_benchmark(arguments.name));
    if (!alone && !result.front()->on_ranks) {
      throw ConfigError(
          fmt::format("bench {} measures one process: start it without mpirun", arguments.name));
    }
    if (result.front()->needs_store && arguments.settings.store.empty()) {
      throw ConfigError(
          fmt::format("bench {} needs STORE, of slides: `dbps make-demo DIR --scale` makes one, "
                      "DIR/store",
                      arguments.name));
    }
    return result;
  }
  for (const bench::Benchmark& one : bench::benchmarks()) {
    if (one.needs_store) continue;
    if (alone || one.on_ranks) result.push_back(&one);
  }
  return result;
}

void run(Arguments arguments, const Context& context) {
  bench::Settings& settings = arguments.settings;
  settings.world = context.world;
  if (settings.threads == 0) {
    const int ranks_here = context.world == nullptr ? 1 : context.world->local_size();
    settings.threads = std::max(1, available_cores() / ranks_here);
  }
  at::set_num_threads(settings.threads);
  std::vector<bench::Report> reports;
  for (const bench::Benchmark* one : chosen(arguments)) {
    log::info("bench {}", one->name);
    reports.push_back(one->run(settings));
    reports.back().name = one->name;
  }
  if (context.world != nullptr && context.world->rank() > 0) return;
  const bench::Machine machine = bench::this_machine(settings);
  if (context.json) {
    fmt::print("{}\n", bench::as_json(machine, reports));
  } else {
    fmt::print("{}", bench::as_text(machine, reports));
  }
}

}  // namespace

void add_bench(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  bench::Settings& settings = arguments->settings;
  std::vector<std::string> names;
  for (const bench::Benchmark& one : bench::benchmarks()) names.push_back(one.name);
  app.footer(footer());
  app.add_option("NAME", arguments->name, "What to measure; all, when it is not given")
      ->type_name(fmt::format("TEXT:{{{}}}", fmt::join(names, ",")));
  app.add_option("STORE", settings.store,
                 "A store to measure with; else a temporary one is made and removed");
  app.add_option("--threads", settings.threads = 0, "Threads; 0: one a core, shared by the ranks")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--rounds", settings.rounds, "Rounds, of each of which a rate is taken")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seconds", settings.turn_seconds, "Of a contender's turn in a round")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--megabytes", settings.megabytes,
                 "Encoded pictures in the temporary store, or read of STORE at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--patches", settings.patches, "Scanned at once by `scan`")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--pictures", settings.pictures, "In a batch of `step`")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--folder", settings.folder,
                 "Where the temporary store is made: on the disk to be measured");
  app.callback([arguments, &context] { run(*arguments, context); });
}

}  // namespace dbps::launcher

// The `dbps` command: finds the verb, makes the world, and is the only place that catches.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "distributed/signals.h"
#include "distributed/world.h"
#include "launcher/failure.h"
#include "launcher/memory.h"
#include "launcher/verbs/verbs.h"
#include "launcher/version.h"

namespace dbps::launcher {
namespace {

struct Verb {
  const char* name;
  const char* about;
  AddVerb add;
  bool on_ranks;       // shares its work over the ranks of mpirun or srun
  bool stops = false;  // hears SIGUSR1 and SIGTERM, saves and leaves with 75
};

constexpr Verb kVerbs[] = {
    {"ingest", "Pictures, slides or features into a store", add_ingest, true},
    {"inspect", "What is in a store", add_inspect, false},
    {"verify", "Check every checksum of a store", add_verify, true},
    {"split", "Train, validation and test, or k folds", add_split, false},
    {"make-demo", "The demo data: handwritten digits, or slides", add_make_demo, false},
    {"train", "Train a model; under mpirun or srun on many ranks", add_train, true, true},
    {"eval", "Metrics of a checkpoint on a split", add_eval, true, true},
    {"predict", "Pictures, folders or a store into JSON lines", add_predict, true},
    {"checkpoints", "List and verify a run's checkpoints", add_checkpoints, false},
    {"report", "One self-contained HTML page of runs", add_report, false},
    {"export", "A run's weights into one file, or a store for other tools", add_export, true},
    {"bench", "The phases measured on this machine, beside their limits", add_bench, true},
    {"doctor", "What this build and this machine have", add_doctor, false},
    {"completion", "Completion for bash and zsh", add_completion, false},
};

// CLI11 alone would say that an argument was not expected.
void check_verb(int argc, char** argv) {
  std::vector<std::string> names;
  for (const Verb& verb : kVerbs) names.push_back(verb.name);
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.empty() || word[0] == '-') continue;
    if (std::find(names.begin(), names.end(), word) != names.end()) return;
    const std::string near = nearest(word, names);
    throw ConfigError(
        fmt::format("unknown verb {}; {}", word,
                    near.empty() ? "see dbps --help" : fmt::format("did you mean {}?", near)));
  }
}

class Program {
 public:
  Program(int argc, char** argv) : argc_(argc), argv_(argv) {
    for (int i = 0; i < argc; ++i) {
      context_.command_line += fmt::format("{}{}", i > 0 ? " " : "", argv[i]);
    }
    app_.name("dbps");
    app_.fallthrough();
    app_.require_subcommand(1);
    app_.set_version_flag("--version", fmt::format("dbps {} {}", version(), commit()));
    app_.add_flag("-v,--verbose", context_.verbose, "Say more");
    app_.add_flag("-q,--quiet", context_.quiet, "Warnings and errors only");
    app_.add_flag("--json", context_.json, "Results as JSON on standard output");
    app_.parse_complete_callback([this] { before_verb(); });
    for (const Verb& verb : kVerbs) {
      CLI::App* sub = app_.add_subcommand(verb.name, verb.about);
      verb.add(*sub, context_);
    }
  }

  int run() {
    try {
      check_verb(argc_, argv_);
      app_.parse(argc_, argv_);
      return 0;
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) return app_.exit(error);
      const auto chosen = app_.get_subcommands();
      log::error("{}; see dbps {}{}--help", error.what(),
                 chosen.empty() ? "" : chosen[0]->get_name(), chosen.empty() ? "" : " ");
      return static_cast<int>(ExitCode::kConfiguration);
    } catch (const Stopped& stopped) {
      // Every rank has saved and comes here; mpirun kills the others once the first is gone.
      if (world_ != nullptr) world_->barrier();
      if (world_ == nullptr || world_->rank() == 0) log::info("{}", stopped.what());
      return static_cast<int>(ExitCode::kStopped);
    } catch (...) {
      return fail(current_failure(context_));
    }
  }

 private:
  // Runs when all is parsed and before the verb's own callback, so that --help never touches MPI.
  void before_verb() {
    set_up_log("");
    const std::string name = app_.get_subcommands().at(0)->get_name();
    for (const Verb& verb : kVerbs) {
      if (verb.name == name && verb.stops) distributed::install_stop_signals();
      if (verb.name != name || !verb.on_ranks) continue;
      world_ = distributed::make_world();
      context_.world = world_.get();
      if (world_->world_size() > 1) set_up_log(fmt::format("rank {}: ", world_->rank()));
    }
  }

  void set_up_log(const std::string& prefix) {
    log::Level level = context_.verbose ? log::Level::kDebug : log::Level::kInfo;
    const bool first = world_ == nullptr || world_->rank() == 0;
    if (context_.quiet || (!first && !context_.verbose)) level = log::Level::kWarning;
    log::set_up(level, first ? "" : prefix);
  }

  int fail(const Failure& failure) {
    if (world_ == nullptr || world_->world_size() == 1) {
      log::error("{}", failure.message);
      return failure.code;
    }
    // Where all ranks fail alike, rank 0 speaks for them and ends them before they repeat it.
    if (world_->rank() > 0) std::this_thread::sleep_for(std::chrono::seconds(3));
    log::error("{} (rank {} on {} of {} ranks; all end)", failure.message, world_->rank(),
               world_->host(), world_->world_size());
    world_->abort(failure.code);
    return failure.code;  // GCC does not believe a virtual [[noreturn]]
  }

  int argc_;
  char** argv_;
  Context context_;
  CLI::App app_{"Trains image classifiers on very large pictures by Dual-Buffer Patch Selection"};
  std::unique_ptr<distributed::World> world_;
};

}  // namespace
}  // namespace dbps::launcher

int main(int argc, char** argv) {
  dbps::launcher::keep_freed_memory();
  dbps::log::set_up(dbps::log::Level::kInfo, "");
  return dbps::launcher::Program(argc, argv).run();
}

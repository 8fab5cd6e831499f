// `dbps train CONFIG.toml`
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "config/config.h"
#include "launcher/verb.h"
#include "launcher/verbs/verbs.h"
#include "launcher/version.h"
#include "training/train.h"

namespace dbps::launcher {
namespace {

struct Options {
  std::string config;
  std::vector<std::string> set;
  bool print_config = false;
  training::TrainRequest request;
};

}  // namespace

void add_train(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  app.description("Train a model as a configuration says; under mpirun or srun on many ranks.");
  app.add_option("CONFIG", options->config, "The configuration, a TOML file")->required();
  app.add_option("--set", options->set, "table.key=value, over the file (repeatable)")
      ->allow_extra_args(false);
  app.add_option("--resume", options->request.resume,
                 "auto: go on where the run stands; never; or a checkpoint's folder")
      ->capture_default_str();
  app.add_flag("--fresh", options->request.fresh, "A new run beside the one that is there: NAME-2");
  app.add_option("--accept", options->request.accept,
                 "A key that a resumed run may change this time (repeatable)")
      ->allow_extra_args(false);
  app.add_flag("--dry-run", options->request.dry_run,
               "Check all, read one batch, try one step, print the plan; keep nothing");
  app.add_flag("--print-config", options->print_config,
               "Print the whole configuration with comments, and leave");
  app.footer(
      "Examples:\n"
      "  dbps train configs/demo.toml --set data.store=demo/store\n"
      "  mpirun -n 4 dbps train configs/demo.toml --set experiment.seed=1\n"
      "The same command goes on with a run that was stopped (exit code 75).\n"
      "A run's metrics.jsonl has a line a step; device_bytes_peak is the most bytes that tensors\n"
      "took in that step: on a GPU, or on the CPU those of the training's own thread; bytes what\n"
      "was read of the store, how much of that from copies on the nodes' own disks\n"
      "(data.placement = \"staged\"), what ranks gave into sums of chosen patches over their\n"
      "patch groups (exchanged), and what each rank gives into sums over all.");
  app.callback([options, &context] {
    training::TrainRequest& request = options->request;
    request.config = config::load(options->config, options->set);
    if (options->print_config) {
      if (context.world->rank() == 0) fmt::print("{}", config::to_toml(request.config, true));
      return;
    }
    request.program_version = fmt::format("{} {}", version(), commit());
    request.command_line = context.command_line;
    request.phase = &context.phase;
    const std::string folder = training::train(request, *context.world);
    if (context.world->rank() == 0 && !request.dry_run) fmt::print("{}\n", folder);
  });
}

}  // namespace dbps::launcher

// `dbps eval RUN`
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "launcher/verb.h"
#include "launcher/verbs/verbs.h"
#include "training/evaluation.h"
#include "training/resolve.h"
#include "training/run_folder.h"
#include "training/run_maps.h"
#include "training/slide_scale.h"
#include "training/trained_model.h"

namespace dbps::launcher {
namespace {

struct Options {
  training::ModelSource source;
  std::string run;
  std::string weights;
  std::string split = "test";
  std::string output;
};

data::Split split_of(const std::string& name) {
  for (const data::Split split :
       {data::Split::kTrain, data::Split::kValidation, data::Split::kTest}) {
    if (name == data::split_name(split)) return split;
  }
  throw ConfigError(fmt::format("--split {}: there are train, validation and test", name));
}

void print_result(const config::Config& config, const training::Evaluation& evaluation,
                  const std::string& split, const std::string& weights, bool json) {
  const training::InferenceCost& cost = evaluation.cost;
  const std::string device =
      config.distributed.device == distributed::DeviceKind::kCuda ? "cuda" : "cpu";
  if (json) {
    nlohmann::ordered_json result = {{"split", split},
                                     {"weights", weights},
                                     {"pictures", evaluation.predictions.size()},
                                     {"loss", evaluation.loss},
                                     {"inference",
                                      {{"device", device},
                                       {"batch", cost.batch},
                                       {"seconds_a_batch", cost.seconds_a_batch},
                                       {"bytes_peak", cost.bytes_peak}}}};
    for (size_t i = 0; i < config.tasks.size(); ++i) {
      result["tasks"][config.tasks[i].name] = evaluation.tasks[i].metrics;
    }
    fmt::print("{}\n", result.dump());
    return;
  }
  fmt::print("{} of {}, loss {:.4f}\n",
             counted(static_cast<int64_t>(evaluation.predictions.size()), "picture"), split,
             evaluation.loss);
  fmt::print("{:.1f} ms for {} on {}, reading not counted; {} of tensors at the peak\n",
             1000 * cost.seconds_a_batch, counted(cost.batch, "picture"), device,
             format_bytes(static_cast<double>(cost.bytes_peak)));
  for (size_t i = 0; i < config.tasks.size(); ++i) {
    for (const auto& [metric, value] : evaluation.tasks[i].metrics) {
      fmt::print("{:<20} {:<20} {:.4f}\n", config.tasks[i].name, metric, value);
    }
  }
}

void run_eval(const Options& options, Context& context) {
  if (!options.output.empty()) check_folder_of(options.output);
  training::ModelSource source = options.source;
  source.path = options.run;
  source.weights = options.weights;
  distributed::World& world = *context.world;
  training::TrainedModel trained = training::load_trained_model(source, world);
  // Each picture is read once, so a copy would not help.
  trained.config->data.placement = data::StorePlacement::kShared;
  const data::Dataset dataset(trained.config->data, training::task_columns(*trained.config));
  training::match_store(*trained.config, dataset);
  training::check_seen(trained.slides, trained.weights.string(), dataset);
  const std::vector<int64_t>& pictures = dataset.of_split(split_of(options.split));
  if (pictures.empty()) {
    throw ConfigError(
        fmt::format("no picture is in the split '{}': see data.split and the labels' "
                    "split column",
                    options.split));
  }
  distributed::Watchdog watchdog(trained.config->distributed.deadline_seconds, world,
                                 &context.phase);
  const bool draws = training::is_run(options.run) && dataset.kind() == store::Kind::kTiles;
  const std::filesystem::path maps = training::RunFolder{options.run}.maps() / options.split;
  std::error_code ignored;  // what is there already is drawn anew
  if (draws && world.rank() == 0) std::filesystem::remove_all(maps, ignored);
  const std::optional<training::Evaluation> evaluation =
      training::evaluate(*trained.config, dataset, pictures, *trained.model, *trained.pass, world,
                         watchdog, options.split);
  if (!evaluation) throw Stopped("the evaluation was stopped by a signal");
  if (draws) {
    watchdog.phase("maps");
    training::draw_run_maps(maps, *trained.config, dataset, *evaluation, world.rank(),
                            [&] { watchdog.progress(); });
  }
  if (world.rank() != 0) return;

  std::filesystem::path csv = options.output;
  if (csv.empty() && training::is_run(options.run)) {
    csv = training::RunFolder{options.run}.predictions(split_of(options.split));
  }
  if (!csv.empty()) {
    training::write_predictions(csv, *trained.config, dataset, *evaluation);
    log::info("a row a picture: {}", csv.string());
  }
  print_result(*trained.config, *evaluation, options.split, trained.weights.string(), context.json);
}

}  // namespace

void add_eval(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  app.description("Metrics of a trained model on a split, and a row a picture as CSV.");
  app.add_option("RUN", options->run,
                 "A run's folder, a .safetensors model, or with --weights a TOML")
      ->required();
  app.add_option("--checkpoint", options->source.checkpoint, "best, latest or a checkpoint's name")
      ->capture_default_str();
  app.add_option("--weights", options->weights,
                 "With a configuration: a whole model's weights, our names or upstream's");
  app.add_option("--split", options->split, "train, validation or test")->capture_default_str();
  app.add_option("--set", options->source.overrides, "table.key=value (repeatable)")
      ->allow_extra_args(false);
  app.add_option("--output", options->output,
                 "The CSV; default: predictions-<split>.csv in the run's folder");
  app.footer(
      "Examples:\n"
      "  dbps eval runs/demo-0 --split test\n"
      "  mpirun -n 2 dbps eval runs/demo-0 --checkpoint latest --json");
  app.callback([options, &context] { run_eval(*options, context); });
}

}  // namespace dbps::launcher

// Checks 11 to 16: losses, optimiser, arithmetic, metrics, and the training step.
#include <ATen/ATen.h>

#include <limits>
#include <vector>

#include "data/grid.h"
#include "distributed/collectives.h"
#include "distributed/devices.h"
#include "distributed/watchdog.h"
#include "distributed/world.h"
#include "optimization/optimizer.h"
#include "parity/probe.h"
#include "report/metrics.h"
#include "training/resolve.h"
#include "training/trainer.h"

namespace dbps::parity {
namespace {

// The loss of the first step of a run, by the trainer that a user's run has.
double first_loss(const config::Config& asked, distributed::World& world) {
  const at::Device device(at::kCPU);
  config::Config machine = training::resolve_machine(asked, world, device);
  training::resolve_micro_batches(machine, world);
  training::set_numerics(machine.distributed);
  const data::Dataset dataset(machine.data, training::task_columns(machine));
  const config::Config config = training::resolve_data(machine, dataset);
  const auto collectives = distributed::make_collectives(world, config.distributed, device);
  const auto group = distributed::make_group_collectives(world, config.distributed, device);
  distributed::Watchdog watchdog(config.distributed.deadline_seconds, world);
  training::Trainer trainer(
      {config, dataset, world, *collectives, *group, watchdog, device, {config.experiment.output}});
  return trainer.rehearse().loss;
}

std::vector<std::vector<double>> rows_of(const at::Tensor& table) {
  const at::Tensor values = table.to(at::kDouble).contiguous();
  const int64_t columns = values.size(1);
  std::vector<std::vector<double>> rows;
  for (int64_t i = 0; i < values.size(0); ++i) {
    const double* first = values.data_ptr<double>() + i * columns;
    rows.emplace_back(first, first + columns);
  }
  return rows;
}

}  // namespace

// logits.<task>, label.<task> -> the mean over pictures of each task, and over tasks.
void losses(Case& c) {
  const config::Config config = config_of(c);
  const model::Heads heads(config.tasks, /*width=*/1, at::kFloat, /*seed=*/0);
  at::Tensor total;
  for (size_t i = 0; i < config.tasks.size(); ++i) {
    const std::string& task = config.tasks[i].name;
    const at::Tensor loss = heads
                                .losses(c.input("logits." + task), {c.input("label." + task), {}},
                                        static_cast<int64_t>(i), config.training.loss_epsilon)
                                .mean();
    c.out["loss." + task] = loss;
    total = i == 0 ? loss : total + loss;
  }
  c.out["loss"] = total / static_cast<double>(config.tasks.size());
}

// The rate of every step of a run.
void learning_rate(Case& c) {
  optimization::OptimizerOptions options;
  options.learning_rate = c.parameters.at("learning_rate");
  const int64_t total = c.parameters.at("total");
  std::vector<double> rates;
  for (int64_t step = 1; step <= total; ++step) {
    rates.push_back(optimization::learning_rate(options, step, c.parameters.at("warmup"), total));
  }
  c.out["learning_rate"] = at::tensor(rates, at::kDouble);
}

// parameter.<i> and its gradients (steps, ...), rates (steps) -> parameters after every step.
void adamw(Case& c) {
  optimization::OptimizerOptions options;
  options.weight_decay = c.parameters.at("weight_decay");
  optimization::Group group;
  std::vector<std::vector<at::Tensor>> after;
  while (c.has("parameter." + std::to_string(after.size()))) {
    const std::string name = std::to_string(after.size());
    group.parameters.emplace_back(name, c.input("parameter." + name).clone().requires_grad_(true));
    after.emplace_back();
  }
  const auto optimizer = optimization::make_optimizer(options, {group});
  const at::Tensor rates = c.input("rates");
  for (int64_t step = 0; step < rates.size(0); ++step) {
    for (const auto& [name, parameter] : group.parameters) {
      parameter.mutable_grad() = c.input("gradient." + name)[step].clone();
    }
    optimizer->step(rates[step].item<double>());
    for (size_t i = 0; i < after.size(); ++i) {
      after[i].push_back(group.parameters[i].second.detach().clone());
    }
  }
  for (size_t i = 0; i < after.size(); ++i) {
    c.out["parameter." + std::to_string(i)] = at::stack(after[i]);
  }
}

// Kept patches and scan steps; each row of the parameters is r, N, M, L.
void counts(Case& c) {
  std::vector<int64_t> kept, steps;
  for (const nlohmann::json& row : c.parameters.at("rows")) {
    const std::string ratio = row.at(0);
    kept.push_back(data::kept_patches(ratio, row.at(1), row.at(2)));
    steps.push_back(data::scan_step(ratio, row.at(3)));
  }
  c.out["kept"] = at::tensor(kept, at::kLong);
  c.out["scan_step"] = at::tensor(steps, at::kLong);
}

// probabilities (n, C), labels (n, 1 or C) -> each metric; NaN where it is absent.
void metrics(Case& c) {
  report::TaskOutputs outputs;
  outputs.kind = c.parameters.at("kind");
  for (int64_t i = 0; i < c.parameters.at("classes").get<int64_t>(); ++i) {
    outputs.classes.push_back(std::to_string(i));
  }
  outputs.probabilities = rows_of(c.input("probabilities"));
  outputs.labels = rows_of(c.input("labels"));
  const std::map<std::string, double> computed = report::compute_metrics(outputs);
  for (const std::string& name : report::metric_names(outputs.kind)) {
    const auto found = computed.find(name);
    c.out[name] = at::scalar_tensor(
        found == computed.end() ? std::numeric_limits<double>::quiet_NaN() : found->second,
        at::kDouble);
  }
}

// The loss of a run's first step, for each of `overrides`: other weights, other pictures.
void first_steps(Case& c) {
  const auto world = distributed::make_world();
  std::vector<double> found;
  for (const nlohmann::json& overrides : c.parameters.at("overrides")) {
    found.push_back(first_loss(config::parse(c.parameters.at("config"), "case " + c.name,
                                             overrides.get<std::vector<std::string>>()),
                               *world));
  }
  c.out["loss"] = at::tensor(found, at::kDouble);
}

}  // namespace dbps::parity

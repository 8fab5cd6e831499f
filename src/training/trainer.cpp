#include "training/trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/loader.h"
#include "distributed/consistency.h"
#include "training/evaluation.h"
#include "training/model_card.h"
#include "training/precision.h"
#include "training/preprocessing.h"
#include "training/run_maps.h"
#include "training/slide_scale.h"
#include "training/staging.h"
#include "training/stopping.h"
#include "training/stopwatch.h"

namespace dbps::training {
namespace {

std::vector<optimization::Group> parameter_groups(model::Model& model,
                                                  const config::Config& config) {
  optimization::Group encoder;
  encoder.learning_rate_scale = config.encoder.learning_rate_scale;
  optimization::Group rest;
  for (const model::NamedTensor& parameter : model.parameters()) {
    if (!parameter.tensor.requires_grad()) continue;
    const bool of_encoder = parameter.name.starts_with("encoder.");
    (of_encoder ? encoder : rest).parameters.emplace_back(parameter.name, parameter.tensor);
  }
  return {std::move(encoder), std::move(rest)};
}

std::vector<int64_t> kept_patches(const config::Config& config, const data::Dataset& dataset) {
  const data::LoaderOptions options = loader_options(config, /*training=*/true, 0, false);
  std::vector<int64_t> kept;
  for (const int64_t picture : dataset.of_split(data::Split::kTrain)) {
    kept.push_back(data::count_patches(dataset, picture, options).kept);
  }
  return kept;
}

// The mean loss of a model that knows the classes but not the pictures.
double guessing_loss(const config::Config& config) {
  double sum = 0;
  double weights = 0;
  for (const model::TaskOptions& task : config.tasks) {
    const bool multiclass = task.kind == model::TaskKind::kMulticlass;
    sum += task.weight * std::log(multiclass ? static_cast<double>(task.classes.size()) : 2.0);
    weights += task.weight;
  }
  return sum / weights;
}

NextBatch next_of(data::Loader& loader, distributed::Watchdog& watchdog) {
  return [&] {
    std::optional<data::HostBatch> batch =
        loader.next([&](bool went_on) { stop_or_wait_on(watchdog, went_on); });
    DBPS_CHECK(batch.has_value(), "the loader ended before the plan");
    return std::move(*batch);
  };
}

constexpr double kGuessingShare = 0.98;  // of the guessing loss: no better than guessing
constexpr int64_t kGuessingEpochs = 5;

}  // namespace

Trainer::Trainer(const Session& session)
    : session_(session),
      model_({session.config.encoder, session.config.aggregator, session.config.tasks},
             session.device, tensor_type(session.config.training.precision),
             session.config.experiment.seed),
      schedule_(make_schedule(session.config, session.dataset)),
      slides_(slides_of(session.dataset)),
      kept_patches_(kept_patches(session.config, session.dataset)) {
  const config::Config& config = session.config;
  if (!config.training.initial_weights.empty()) {
    const std::string& file = config.training.initial_weights;
    check_seen(load_initial_weights(model_, file, config.training.reset_heads), file,
               session.dataset);
  }
  optimizer_ = optimization::make_optimizer(config.optimizer, parameter_groups(model_, config));
  step_ =
      std::make_unique<TrainingStep>(config, session.dataset, model_, *optimizer_, session.world,
                                     session.collectives, session.group, session.watchdog);
  state_.config = config::to_toml(config, /*comments=*/false);
  state_.store_fingerprint = session.dataset.fingerprint();
  state_.labels_hash = session.dataset.labels_hash();
  state_.steps_per_epoch = schedule_.steps_per_epoch;
  if (session.world.rank() == 0) {
    checkpoints_ =
        std::make_unique<checkpoint::Manager>(session.folder.path, config.checkpoint.keep);
  }
}

Trainer::~Trainer() = default;

std::vector<std::pair<std::string, at::Tensor>> Trainer::model_tensors() const {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const model::NamedTensor& t : model_.tensors()) tensors.emplace_back(t.name, t.tensor);
  return tensors;
}

void Trainer::restore(const checkpoint::Loaded* loaded) {
  const c10::NoGradGuard no_gradient;
  distributed::World& world = session_.world;
  distributed::all_or_none(world, "restoring the checkpoint", [&] {
    if (loaded == nullptr) return;
    copy_by_name(model_tensors(), loaded->snapshot.model, loaded->folder / "model.safetensors");
    copy_by_name(optimizer_->state(), loaded->snapshot.optimizer,
                 loaded->folder / "optimizer.safetensors");
  });
  for (const auto& [name, tensor] : model_tensors()) session_.collectives.broadcast(tensor, 0);
  for (const auto& [name, tensor] : optimizer_->state()) session_.collectives.broadcast(tensor, 0);
  const RunState now = state_;
  state_ = run_state_from_json(world.broadcast(loaded == nullptr ? "" : loaded->snapshot.state, 0),
                               "state.json");
  if (state_.steps_per_epoch != now.steps_per_epoch) {
    throw ConfigError(fmt::format(
        "an epoch has {} steps now and had {} when the run began, so it cannot go on: start anew "
        "with --fresh",
        now.steps_per_epoch, state_.steps_per_epoch));
  }
  state_.config = now.config;
  state_.store_fingerprint = now.store_fingerprint;
  state_.labels_hash = now.labels_hash;
  state_.finished = false;  // more epochs than it ended with, or train() would have said so
  last_save_seconds_ = state_.seconds;
  if (checkpoints_) checkpoints_->go_on_from(state_.step, state_.best.step);
  step_->pass().refresh();
}

std::vector<data::StepPlan> Trainer::plan(int64_t epoch) const {
  const config::Config& config = session_.config;
  data::PlanOptions options;
  options.seed = config.experiment.seed;
  options.batch_size_global = config.training.batch_size_global;
  options.micro_batches = config.training.micro_batches;
  options.shuffle = config.data.shuffle;
  options.sampling = config.data.sampling;
  return data::plan_epoch(session_.dataset, session_.dataset.of_split(data::Split::kTrain),
                          kept_patches_, options, epoch);
}

double Trainer::learning_rate(int64_t step) const {
  return optimization::learning_rate(session_.config.optimizer, step + 1, schedule_.warmup_steps,
                                     schedule_.total_steps);
}

double Trainer::exploration(int64_t step) const {
  const int64_t steps = session_.config.selection.explore_epochs * schedule_.steps_per_epoch;
  if (step >= steps) return 0.0;
  return 1.0 - static_cast<double>(step) / static_cast<double>(steps);
}

void Trainer::run() {
  const bool resumed = state_.step > 0;
  recorder_ =
      std::make_unique<Recorder>(session_.folder, session_.config, state_, session_.world.rank());
  distributed::equal_on_all_ranks(session_.world, model_tensors());
  if (resumed) recorder_->resumed(state_.step, session_.world.world_size());
  while (!state_.finished) {
    const int64_t epoch = state_.evaluated_epochs;
    if (!run_epoch(epoch) || !finish_epoch(epoch)) return stop();
  }
  if (checkpoints_) checkpoints_->wait();
  session_.world.barrier();
}

std::unique_ptr<data::Loader> Trainer::make_loader(const std::vector<data::StepPlan>& steps,
                                                   int64_t epoch, int64_t first_step) const {
  const config::Config& config = session_.config;
  const auto [first, last] =
      reader_place(config, session_.world).own(config.training.micro_batches);
  std::vector<std::vector<int64_t>> batches;
  std::vector<std::vector<int64_t>> occurrences;
  for (size_t s = static_cast<size_t>(first_step); s < steps.size(); ++s) {
    batches.insert(batches.end(), steps[s].micro_batches.begin() + first,
                   steps[s].micro_batches.begin() + last);
    occurrences.insert(occurrences.end(), steps[s].occurrences.begin() + first,
                       steps[s].occurrences.begin() + last);
  }
  data::LoaderOptions options =
      loader_options(config, /*training=*/true, epoch, session_.device.is_cuda());
  options.share = bag_share(config, session_.dataset, session_.world);
  return std::make_unique<data::Loader>(session_.dataset, std::move(options), std::move(batches),
                                        std::move(occurrences));
}

StepResult Trainer::rehearse() {
  const std::vector<data::StepPlan> steps = plan(0);
  const std::unique_ptr<data::Loader> loader = make_loader(steps, 0, 0);
  return step_->run(steps[0], {0, 0, exploration(0)}, learning_rate(0),
                    next_of(*loader, session_.watchdog));
}

bool Trainer::run_epoch(int64_t epoch) {
  const config::Config& config = session_.config;
  const std::vector<data::StepPlan> steps = plan(epoch);
  DBPS_CHECK(static_cast<int64_t>(steps.size()) == schedule_.steps_per_epoch,
             "the plan's steps disagree");
  const int64_t done = state_.step - epoch * schedule_.steps_per_epoch;
  const std::unique_ptr<data::Loader> loader = make_loader(steps, epoch, done);
  epoch_seconds_ = epoch_read_wait_ = 0;
  Progress progress(fmt::format("epoch {} of {}", epoch + 1, config.training.epochs),
                    session_.world.rank() == 0);
  for (int64_t s = done; s < schedule_.steps_per_epoch; ++s) {
    const StepPlace place = {state_.step, epoch, exploration(state_.step)};
    const StepResult result = step_->run(steps[s], place, learning_rate(state_.step),
                                         next_of(*loader, session_.watchdog));
    if (result.dropped) return false;
    note_step(result, epoch);
    progress.update(s + 1, schedule_.steps_per_epoch, "steps",
                    fmt::format("loss {:.4f}", result.loss));
    if (config.distributed.check_every > 0 && state_.step % config.distributed.check_every == 0) {
      distributed::equal_on_all_ranks(session_.world, model_tensors());
    }
    if (result.stop) return false;
    if (s + 1 < schedule_.steps_per_epoch && save_due(/*epoch_ends=*/false)) save(/*best=*/false);
  }
  return true;
}

void Trainer::record(const std::function<void(Recorder&)>& write) {
  try {
    write(*recorder_);
  } catch (const RuntimeFault& fault) {
    if (!checkpoints_) throw;
    throw RuntimeFault(fmt::format("{}; {}", fault.what(), checkpoints_->what_stands()));
  }
}

void Trainer::note_step(const StepResult& result, int64_t epoch) {
  if (checkpoints_) checkpoints_->check();
  ++state_.step;
  state_.seconds += result.seconds;
  state_.epoch_loss_sum += result.loss;
  ++state_.epoch_loss_steps;
  epoch_seconds_ += result.seconds;
  epoch_read_wait_ += result.read_wait;
  record([&](Recorder& recorder) { recorder.step(result, epoch + 1, state_.step); });
}

bool Trainer::finish_epoch(int64_t epoch) {
  const config::Config& config = session_.config;
  const bool last = epoch + 1 == config.training.epochs;
  const std::vector<int64_t>& validation = session_.dataset.of_split(data::Split::kValidation);
  const bool evaluation_due = !validation.empty() && config.validation.every_epochs > 0 &&
                              ((epoch + 1) % config.validation.every_epochs == 0 || last);
  bool best = false;
  std::optional<Evaluation> evaluation;
  if (evaluation_due) {
    const Stopwatch watch;
    evaluation = evaluate(config, session_.dataset, validation, model_, step_->pass(),
                          session_.world, session_.watchdog, "validation");
    if (!evaluation) return false;
    const int64_t best_before = state_.best.step;
    note_evaluation(*evaluation, epoch);
    best = state_.best.step != best_before;
    state_.seconds += watch.seconds();
  }
  warn_when_guessing(epoch);
  state_.evaluated_epochs = epoch + 1;
  state_.patience_spent = patience_spent(epoch);
  state_.finished = last || state_.patience_spent;
  if (state_.finished || best || save_due(/*epoch_ends=*/true)) save(best);
  if (evaluation) draw_maps(*evaluation, epoch);
  return true;
}

void Trainer::note_evaluation(const Evaluation& evaluation, int64_t epoch) {
  const ValidationOptions& options = session_.config.validation;
  record([&](Recorder& recorder) {
    recorder.evaluation(evaluation, data::split_name(data::Split::kValidation), epoch + 1,
                        state_.step);
  });
  const double value = monitored(session_.config, evaluation);
  const double gain =
      higher_is_better(options.monitor) ? value - state_.best.value : state_.best.value - value;
  const bool better = std::isfinite(value) && (state_.best.step < 0 || gain > 0);
  if (better) state_.best = {state_.step, epoch + 1, value};
  log::info(
      "epoch {:3} of {}: training loss {:.4f}, validation loss {:.4f}, {} {:.4f}{}; waited for "
      "data {:.1f} % of the time",
      epoch + 1, session_.config.training.epochs,
      state_.epoch_loss_sum / static_cast<double>(std::max<int64_t>(1, state_.epoch_loss_steps)),
      evaluation.loss, options.monitor, value, better ? " (best so far)" : "",
      100 * epoch_read_wait_ / std::max(epoch_seconds_, 1e-9));
}

void Trainer::warn_when_guessing(int64_t epoch) {
  const double guessing = guessing_loss(session_.config);
  const double mean =
      state_.epoch_loss_sum / static_cast<double>(std::max<int64_t>(1, state_.epoch_loss_steps));
  // What is learned while exploring may not show in the loss yet.
  const bool explores = epoch < session_.config.selection.explore_epochs;
  state_.guessing_epochs =
      !explores && mean > kGuessingShare * guessing ? state_.guessing_epochs + 1 : 0;
  state_.epoch_loss_sum = 0;
  state_.epoch_loss_steps = 0;
  if (state_.guessing_epochs > 0 && state_.guessing_epochs % kGuessingEpochs == 0 &&
      session_.world.rank() == 0) {
    log::warning(
        "after epoch {} the training loss has stayed at the level of guessing ({:.3f}) for {} "
        "epochs: "
        "the selection may not have started; try encoder.weights (a pretrained encoder), "
        "selection.explore_epochs or another optimizer.learning_rate",
        epoch + 1, guessing, state_.guessing_epochs);
  }
}

bool Trainer::patience_spent(int64_t epoch) const {
  const ValidationOptions& options = session_.config.validation;
  return options.patience_epochs > 0 && state_.best.step >= 0 && epoch + 1 >= options.min_epochs &&
         epoch + 1 - state_.best.epoch >= options.patience_epochs;
}

bool Trainer::save_due(bool epoch_ends) const {
  const checkpoint::CheckpointOptions& options = session_.config.checkpoint;
  if (epoch_ends && options.every_epochs > 0 &&
      state_.evaluated_epochs % options.every_epochs == 0) {
    return true;
  }
  if (options.every_steps > 0 && state_.step % options.every_steps == 0) return true;
  return options.every_minutes > 0 &&
         state_.seconds - last_save_seconds_ >= 60 * options.every_minutes;
}

void Trainer::save(bool best) {
  session_.watchdog.phase("save");
  last_save_seconds_ = state_.seconds;
  if (!checkpoints_) return;
  const std::string name = checkpoint::checkpoint_name(state_.step);
  if (session_.folder.vanished()) {
    throw RuntimeFault(
        fmt::format("checkpoint {} is not saved: {} is gone; was it removed, or is its file system "
                    "no longer mounted?",
                    name, session_.folder.path.string()));
  }
  record([&](Recorder& recorder) {
    recorder.checkpoint(name, state_.step, best);
    if (state_.finished) recorder.end(state_, session_.config.validation.monitor);
    recorder.note_lengths(state_);
  });
  checkpoint::Snapshot snapshot;
  snapshot.step = state_.step;
  snapshot.model = model_tensors();
  snapshot.optimizer = optimizer_->state();
  snapshot.model_metadata =
      model_card(session_.config, slides_, state_.step, state_.evaluated_epochs);
  snapshot.state = to_json(state_);
  checkpoints_->save(snapshot, best);
}

void Trainer::stop() {
  save(/*best=*/false);
  if (checkpoints_) checkpoints_->wait();
  session_.watchdog.wait("stop");
  session_.world.barrier();
  throw Stopped(
      fmt::format("stopped by a signal at step {} of {}; everything is saved: the same "
                  "command goes on from here",
                  state_.step, schedule_.total_steps));
}

void Trainer::draw_maps(const Evaluation& evaluation, int64_t epoch) const {
  if (session_.folder.vanished()) return;
  session_.watchdog.phase("maps");
  draw_run_maps(session_.folder.maps() / fmt::format("epoch-{:04}", epoch + 1), session_.config,
                session_.dataset, evaluation, session_.world.rank(),
                [this] { session_.watchdog.progress(); });
}

}  // namespace dbps::training

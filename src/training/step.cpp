#include "training/step.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/text.h"
#include "distributed/signals.h"
#include "training/device_memory.h"
#include "training/precision.h"
#include "training/preprocessing.h"
#include "training/staging.h"
#include "training/stopping.h"
#include "training/stopwatch.h"

namespace dbps::training {
namespace {

at::Generator dropout_generator(const at::Tensor& like, int64_t seed, const StepPlace& place,
                                int64_t sample) {
  at::Generator generator = at::globalContext().defaultGenerator(like.device()).clone();
  generator.set_current_seed(RandomStream(static_cast<uint64_t>(seed), Purpose::kDropout,
                                          static_cast<uint64_t>(place.epoch),
                                          static_cast<uint64_t>(sample))
                                 .next_u64());
  return generator;
}

// The time of a phase in which tiles are read as they are asked for: what was waited for them is
// phase "read".
class PhaseWithTiles {
 public:
  PhaseWithTiles(const char* name, const data::DevicePatches& patches, StepResult& result)
      : name_(name), patches_(patches), result_(result), waited_(patches.seconds_waited()) {}
  ~PhaseWithTiles() {
    const double waited = patches_.seconds_waited() - waited_;
    result_.phases[name_] += watch_.seconds() - waited;
    result_.phases["read"] += waited;
    result_.read_wait += waited;
  }

 private:
  const char* name_;
  const data::DevicePatches& patches_;
  StepResult& result_;
  double waited_;
  const Stopwatch watch_;
};

}  // namespace

struct TrainingStep::Sums {
  explicit Sums(const at::TensorOptions& options, bool stop)
      : values(at::zeros({8}, options.dtype(at::kDouble))) {
    if (stop) values[3] = 1;
  }
  // loss, images, patches scanned, ranks asked to stop, ranks that dropped the step, bytes read,
  // bytes of them from copies, bytes of patches handed around in the patch group
  at::Tensor values;
  std::vector<std::string> not_finite;  // "task of picture", on this rank
};

TrainingStep::TrainingStep(const config::Config& config, const data::Dataset& dataset,
                           model::Model& model, optimization::Optimizer& optimizer,
                           distributed::World& world, distributed::Collectives& collectives,
                           distributed::Collectives& group, distributed::Watchdog& watchdog)
    : config_(config),
      dataset_(dataset),
      model_(model),
      optimizer_(optimizer),
      world_(world),
      watchdog_(watchdog),
      place_(distributed::patch_group_of(world, config.distributed)),
      labels_(dataset, model.options().tasks),
      pass_(model, config.selection, compute_types(config.training), &group) {
  for (const model::NamedTensor& parameter : model.parameters()) {
    if (parameter.tensor.requires_grad()) {
      trained_.parameters.emplace_back(parameter.name, parameter.tensor);
    }
  }
  reducer_ = std::make_unique<distributed::GradientReducer>(
      trained_.parameters, collectives, config.distributed.bucket_mb, config.distributed.compress);
}

TrainingStep::~TrainingStep() = default;

StepResult TrainingStep::run(const data::StepPlan& plan, const StepPlace& place,
                             double learning_rate, const NextBatch& next_batch) {
  StepResult result;
  result.learning_rate = learning_rate;
  const Stopwatch whole;
  const at::Device device = trained_.parameters.front().second.device();
  begin_peak(device);
  const auto micro_batches = static_cast<int64_t>(plan.micro_batches.size());
  const auto [first, last] = reader_place(config_, world_).own(micro_batches);
  const std::vector<double> global_weights = labels_.global_weights(plan);

  reducer_->zero();
  model_.statistics().reset();
  Sums sums(trained_.parameters.front().second.options(), distributed::stop_signal() != 0);
  try {
    for (int64_t i = first; i < last; ++i) {
      reducer_->expect_last(i + 1 == last);
      run_micro_batch(plan.micro_batches[i], i, place, global_weights, next_batch, sums, result);
    }
  } catch (const StopRequested&) {
    sums.values[3] = 1;
    sums.values[4] = 1;
  }

  watchdog_.wait("reduce");
  const Stopwatch reducing;
  std::vector<at::Tensor> extra = {sums.values};
  if (model_.statistics().sums().defined()) extra.push_back(model_.statistics().sums());
  reducer_->finish(extra);
  if (world_.world_size() > 1) {
    result.bytes_reduced = reducer_->bytes();
    for (const at::Tensor& one : extra) result.bytes_reduced += static_cast<int64_t>(one.nbytes());
  }
  result.phases["reduce"] += reducing.seconds();

  const at::Tensor totals = sums.values.cpu();
  const double* total = totals.data_ptr<double>();
  result.loss = total[0];
  result.images = std::llround(total[1]);
  result.patches_scanned = std::llround(total[2]);
  result.bytes_read = std::llround(total[5]);
  result.bytes_staged = std::llround(total[6]);
  result.bytes_exchanged = std::llround(total[7]);
  result.stop = total[3] > 0;
  result.dropped = total[4] > 0;
  if (!result.dropped) {
    watchdog_.phase("optimizer");
    const Stopwatch optimising;
    const double clip = config_.optimizer.clip_norm;
    const double norm = optimization::clip_gradients(
        {trained_}, clip > 0 ? clip : std::numeric_limits<double>::infinity());
    check_finite(sums, norm, place);
    model_.statistics().update_running();
    optimizer_.step(learning_rate);
    pass_.refresh();
    result.phases["optimizer"] += optimising.seconds();
  }
  result.device_bytes_peak = peak_device_bytes(device);
  result.seconds = whole.seconds();
  return result;
}

selection::Selection TrainingStep::select(const data::HostBatch& batch,
                                          const data::DevicePatches& patches,
                                          const StepPlace& place, StepResult& result) {
  watchdog_.phase("scan");
  const PhaseWithTiles scanning("scan", patches, result);
  selection::Request request = training_request(config_, place.epoch, place.exploration,
                                                [this] { stop_or_go_on(watchdog_); });
  request.waits = [this](bool waiting) {
    waiting ? watchdog_.wait("scan") : watchdog_.phase("scan");
  };
  return pass_.select(batch, patches, request);
}

void TrainingStep::run_micro_batch(const std::vector<int64_t>& pictures, int64_t micro_batch,
                                   const StepPlace& place,
                                   const std::vector<double>& global_weights,
                                   const NextBatch& next_batch, Sums& sums, StepResult& result) {
  watchdog_.phase("read");
  const Stopwatch reading;
  data::HostBatch batch;
  stop_together(pass_.group(), [&] {
    stop_or_go_on(watchdog_);
    batch = next_batch();
  });
  result.read_wait += batch.wait_seconds;
  if (batch.bags.empty()) return;
  pass_.join(batch);
  const at::Tensor& like = trained_.parameters.front().second;
  const data::DevicePatches patches = device_patches(batch, config_, model_, like);
  result.phases["read"] += reading.seconds();

  const int64_t exchanged = pass_.bytes_exchanged();
  const selection::Selection selection = select(batch, patches, place, result);

  watchdog_.phase("forward");
  const ShareLoss loss = [&] {
    const PhaseWithTiles forwarding("forward", patches, result);
    model::Forward forward;
    forward.training = true;
    forward.statistics = &model_.statistics();
    forward.generator =
        dropout_generator(like, config_.experiment.seed, place,
                          place.step * config_.training.micro_batches + micro_batch);
    const model::Ragged tokens = pass_.tokens(batch, patches, selection, forward);
    return share_loss(model_.heads(), model_.options().tasks, tokens, pictures, labels_,
                      global_weights, config_.training.loss_epsilon);
  }();

  watchdog_.phase("backward");
  const Stopwatch going_back;
  // All ranks of the group have the whole loss.
  if (loss.total.requires_grad()) (loss.total / pass_.group_size()).backward();
  result.phases["backward"] += going_back.seconds();

  sums.values[2] += static_cast<double>(selection.patches_scanned);
  const auto bytes_read = static_cast<double>(patches.bytes_read());
  sums.values[5] += bytes_read;
  sums.values[7] += static_cast<double>(pass_.bytes_exchanged() - exchanged);
  // A micro-batch lies in one home.
  if (dataset_.reads_copy(pictures.front())) sums.values[6] += bytes_read;
  if (!place_.leads()) return;
  sums.values[0] += loss.total.detach();
  sums.values[1] += static_cast<double>(pictures.size());
  count_losses(loss.of_pictures, batch, sums);
}

void TrainingStep::count_losses(const at::Tensor& of_pictures, const data::HostBatch& batch,
                                Sums& sums) const {
  const at::Tensor finite = of_pictures.isfinite().cpu();
  if (finite.all().item<bool>()) return;
  for (int64_t task = 0; task < finite.size(0); ++task) {
    for (int64_t row = 0; row < finite.size(1); ++row) {
      if (finite[task][row].item<bool>()) continue;
      sums.not_finite.push_back(fmt::format("task '{}' of picture '{}'",
                                            model_.options().tasks[task].name, batch.bags[row].id));
    }
  }
}

void TrainingStep::check_finite(const Sums& sums, double gradient_norm, const StepPlace& place) {
  // Sums over ranks are the same on all of them, so all come to the same verdict.
  const bool loss_finite = std::isfinite(sums.values[0].item<double>());
  if (loss_finite && std::isfinite(gradient_norm)) return;
  std::vector<std::string> where;
  for (const std::string& lines :
       world_.all_gather(fmt::format("{}", fmt::join(sums.not_finite, "\n")))) {
    for (std::string& line : split(lines, '\n')) {
      if (!line.empty()) where.push_back(std::move(line));
    }
  }
  throw Error(ExitCode::kInternal,
              fmt::format("step {} (epoch {}): {} is not finite{}; nothing of this step was kept: "
                          "lower optimizer.learning_rate or set optimizer.clip_norm",
                          place.step + 1, place.epoch + 1, loss_finite ? "a gradient" : "the loss",
                          where.empty() ? "" : ", for " + join_words(where)));
}

}  // namespace dbps::training

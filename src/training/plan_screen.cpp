#include "training/plan_screen.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "data/grid.h"

namespace dbps::training {
namespace {

struct PatchCounts {
  int64_t least = 0;
  int64_t most = 0;
  int64_t kept_most = 0;
  int64_t padded = 0;  // pictures smaller than a patch
};

PatchCounts count_patches(const config::Config& config, const data::Dataset& dataset) {
  PatchCounts counts;
  bool first = true;
  for (const data::Picture& picture : dataset.pictures()) {
    const store::Bag& bag = dataset.store(picture.store).bag(picture.bag);
    const data::Size size = data::resized(config.data, {bag.width, bag.height});
    const int64_t n = data::make_grid(config.data, size).size();
    counts.least = first ? n : std::min(counts.least, n);
    counts.most = std::max(counts.most, n);
    if (std::min(size.width, size.height) < config.data.patch_size) ++counts.padded;
    first = false;
  }
  counts.kept_most = data::kept_patches(config.drop.ratio, counts.most, config.selection.salient);
  return counts;
}

std::string range(int64_t least, int64_t most) {
  return least == most ? std::to_string(most) : fmt::format("{} to {}", least, most);
}

}  // namespace

void show_plan(const config::Config& config, const data::Dataset& dataset,
               const std::filesystem::path& folder, const distributed::World& world,
               at::Device device, const char* backend) {
  const PatchCounts patches = count_patches(config, dataset);
  const auto train = static_cast<int64_t>(dataset.of_split(data::Split::kTrain).size());
  const int64_t batch = config.training.batch_size_global;
  const int64_t steps = (train + batch - 1) / batch;
  const double pixels_of_batch =
      static_cast<double>(std::min(batch, train)) /
      static_cast<double>(config.training.micro_batches) *
      static_cast<double>(patches.kept_most * config.data.patch_size * config.data.patch_size *
                          config.encoder.channels);
  log::info("run        {} (seed {})", folder.string(), config.experiment.seed);
  log::info(
      "ranks      {} on {}, {} compute threads each, {} micro-batches a step, gradients by {}",
      world.world_size(), device.str(), config.distributed.threads, config.training.micro_batches,
      backend);
  log::info("pictures   {} train, {} validation, {} test", train,
            dataset.of_split(data::Split::kValidation).size(),
            dataset.of_split(data::Split::kTest).size());
  log::info("patches    N = {} of {} x {} pixels; {} kept in training (r = {})",
            range(patches.least, patches.most), config.data.patch_size, config.data.patch_size,
            patches.kept_most, config.drop.ratio);
  log::info("selection  {}: M = {}, S = {}, L = {} patches a scan step", config.selection.method,
            config.selection.salient, config.selection.sub_salient, config.selection.scan_patches);
  log::info("model      {} -> {} -> {} task(s)", config.encoder.kind, config.aggregator.kind,
            config.tasks.size());
  log::info("memory     {} of pixels a micro-batch; up to {} of pictures in flight on the host",
            format_bytes(pixels_of_batch),
            format_bytes(static_cast<double>(config.data.host_bytes)));
  log::info("steps      {} epochs x {} = {}", config.training.epochs, steps,
            config.training.epochs * steps);
  if (patches.padded > 0) {
    log::warning("{} picture(s) are smaller than a patch and are padded with black",
                 patches.padded);
  }
}

void rehearse(const Session& session) {
  Trainer trainer(session);
  const StepResult result = trainer.rehearse();
  if (session.world.rank() != 0) return;
  log::info("one step   {:.2f} s: loss {:.4f}, {} patches scanned", result.seconds, result.loss,
            result.patches_scanned);
  for (const auto& [phase, seconds] : result.phases) {
    log::info("           {:<10}{:.3f} s", phase, seconds);
  }
  const double epoch = result.seconds * static_cast<double>(trainer.steps_per_epoch());
  log::info("estimate   {} an epoch, {} the run, evaluation not counted; nothing was written",
            format_seconds(epoch),
            format_seconds(epoch * static_cast<double>(session.config.training.epochs)));
}

}  // namespace dbps::training

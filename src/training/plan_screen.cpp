#include "training/plan_screen.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "data/loader.h"
#include "training/preprocessing.h"
#include "training/schedule.h"

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
  const data::LoaderOptions options = loader_options(config, /*training=*/true, 0, false);
  for (size_t i = 0; i < dataset.pictures().size(); ++i) {
    const data::PatchCount count = data::count_patches(dataset, static_cast<int64_t>(i), options);
    counts.least = i == 0 ? count.all : std::min(counts.least, count.all);
    counts.most = std::max(counts.most, count.all);
    counts.kept_most = std::max(counts.kept_most, count.kept);
    if (count.padded) ++counts.padded;
  }
  return counts;
}

// What is legal but seldom meant.
void warn_of_patches(const config::Config& config, const PatchCounts& patches) {
  const data::DataOptions& data = config.data;
  const selection::SelectionOptions& selection = config.selection;
  if (patches.padded > 0) {
    log::warning("{} picture(s) are smaller than a patch and are padded with black",
                 patches.padded);
  }
  const int64_t buffers = selection.salient + selection.sub_salient;
  if (selection.method == "dbps" && buffers > patches.kept_most) {
    log::warning(
        "M + S = {} is more than the {} patches that training keeps of a picture: the second "
        "buffer "
        "never fills; see selection.sub_salient and drop.ratio",
        buffers, patches.kept_most);
  }
  const bool cut = data.resize == data::Resize::kExact && data.edge == data::Edge::kDrop &&
                   data.patch_size > 0 && data.height >= data.patch_size &&
                   data.width >= data.patch_size;
  if (!cut) return;
  const int64_t right = (data.width - data.patch_size) % data.patch_stride;
  const int64_t below = (data.height - data.patch_size) % data.patch_stride;
  if (right > 0 || below > 0) {
    log::warning(
        "{} pixels at the right and {} at the lower edge of every picture lie in no patch: see "
        "data.width, data.height and data.edge",
        right, below);
  }
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
  const Schedule schedule = make_schedule(config, dataset);
  const bool vectors = model::reads_vectors(config.encoder);
  const int64_t patch_bytes =
      vectors ? config.encoder.width_in * static_cast<int64_t>(sizeof(float))
              : config.data.patch_size * config.data.patch_size * config.encoder.channels;
  const double bytes_of_batch = static_cast<double>(std::min(batch, train)) /
                                static_cast<double>(config.training.micro_batches) *
                                static_cast<double>(patches.kept_most * patch_bytes);
  log::info("run        {} (seed {})", folder.string(), config.experiment.seed);
  log::info(
      "ranks      {} on {}, {} compute threads each, {} micro-batches a step, gradients by {}",
      world.world_size(), device.str(), config.distributed.threads, config.training.micro_batches,
      backend);
  log::info("pictures   {} train, {} validation, {} test", train,
            dataset.of_split(data::Split::kValidation).size(),
            dataset.of_split(data::Split::kTest).size());
  const std::string size =
      vectors ? fmt::format("{} numbers", config.encoder.width_in)
              : fmt::format("{} x {} pixels", config.data.patch_size, config.data.patch_size);
  log::info("patches    N = {} of {}; {} kept in training (r = {})",
            range(patches.least, patches.most), size, patches.kept_most, config.drop.ratio);
  log::info("selection  {}: M = {}, S = {}, L = {} patches a scan step", config.selection.method,
            config.selection.salient, config.selection.sub_salient, config.selection.scan_patches);
  log::info("model      {} -> {} -> {} task(s)", config.encoder.kind, config.aggregator.kind,
            config.tasks.size());
  log::info("memory     {} of {} a micro-batch; up to {} of {} in flight on the host",
            format_bytes(bytes_of_batch), vectors ? "vectors" : "pixels",
            format_bytes(static_cast<double>(config.data.host_bytes)),
            vectors ? "vectors" : "pictures");
  log::info("steps      {} epochs x {} = {}", config.training.epochs, schedule.steps_per_epoch,
            schedule.total_steps);
  warn_of_patches(config, patches);
}

void rehearse(const Session& session) {
  Trainer trainer(session);
  const StepResult result = trainer.rehearse();
  if (session.world.rank() != 0) return;
  log::info("one step   {:.2f} s: loss {:.4f}, {} patches scanned, {} of tensors at its peak",
            result.seconds, result.loss, result.patches_scanned,
            format_bytes(static_cast<double>(result.device_bytes_peak)));
  for (const auto& [phase, seconds] : result.phases) {
    log::info("           {:<10}{:.3f} s", phase, seconds);
  }
  const double epoch = result.seconds * static_cast<double>(trainer.steps_per_epoch());
  log::info("estimate   {} an epoch, {} the run, evaluation not counted; nothing was written",
            format_seconds(epoch),
            format_seconds(epoch * static_cast<double>(session.config.training.epochs)));
}

}  // namespace dbps::training

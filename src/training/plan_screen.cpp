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
  int64_t padded = 0;      // pictures smaller than a patch
  int64_t bytes_most = 0;  // of one picture's kept patches
};

PatchCounts count_patches(const config::Config& config, const data::Dataset& dataset) {
  PatchCounts counts;
  const data::LoaderOptions options = loader_options(config, /*training=*/true, 0, false);
  for (size_t i = 0; i < dataset.pictures().size(); ++i) {
    const data::PatchCount count = data::count_patches(dataset, static_cast<int64_t>(i), options);
    counts.least = i == 0 ? count.all : std::min(counts.least, count.all);
    counts.most = std::max(counts.most, count.all);
    counts.kept_most = std::max(counts.kept_most, count.kept);
    counts.bytes_most = std::max(counts.bytes_most, count.bytes);
    if (count.padded) ++counts.padded;
  }
  return counts;
}

// What is legal but seldom meant.
void warn_of_patches(const config::Config& config, const PatchCounts& patches) {
  const data::DataOptions& data = config.data;
  const selection::SelectionOptions& selection = config.selection;
  if (patches.padded > 0) {
    log::warning("padded with black, as smaller than a patch: {}",
                 counted(patches.padded, "picture"));
  }
  const int64_t buffers = selection.salient + selection.sub_salient;
  if (selection::method_of(selection).keeps_sub_salient && buffers > patches.kept_most) {
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

std::string patches_text(const config::Config& config, const PatchCounts& patches) {
  const data::DataOptions& data = config.data;
  if (selection::method_of(config.selection).takes_whole_picture) {
    return data.resize == data::Resize::kExact
               ? fmt::format("none cut: whole pictures of {} x {} pixels", data.width, data.height)
               : "none cut: whole pictures";
  }
  const std::string size = model::reads_vectors(config.encoder)
                               ? fmt::format("{} numbers", config.encoder.width_in)
                               : fmt::format("{} x {} pixels", data.patch_size, data.patch_size);
  return fmt::format("N = {} of {}; {} kept in training (r = {})",
                     range(patches.least, patches.most), size, patches.kept_most,
                     config.drop.ratio);
}

// "2 on 2 nodes: 1.2 GB and 1.1 GB", or from least to most where there are many.
std::string homes_text(const config::Config& config, const data::Dataset& dataset,
                       const distributed::World& world) {
  std::vector<int64_t> bytes(static_cast<size_t>(dataset.num_homes()), 0);
  for (size_t i = 0; i < dataset.pictures().size(); ++i) {
    bytes[dataset.pictures()[i].home] += dataset.stored_bytes(static_cast<int64_t>(i));
  }
  std::vector<std::string> sizes;
  for (const int64_t one : bytes) sizes.push_back(format_bytes(static_cast<double>(one)));
  constexpr size_t kMostListed = 8;
  if (sizes.size() > kMostListed) {
    const auto [least, most] = std::minmax_element(bytes.begin(), bytes.end());
    sizes = {fmt::format("{} to {} each", format_bytes(static_cast<double>(*least)),
                         format_bytes(static_cast<double>(*most)))};
  }
  const bool staged = config.data.placement == data::StorePlacement::kStaged;
  return fmt::format("{}{}: {}", dataset.num_homes(),
                     staged ? fmt::format(" on {}, copied to {}",
                                          counted(world.num_nodes(), "node"), config.data.stage_dir)
                            : ", read where the store lies",
                     join_words(sizes));
}

std::string selection_text(const selection::SelectionOptions& selection) {
  const selection::Method method = selection::method_of(selection);
  std::string text = selection.method;
  text += method.keeps_every_patch ? ": everything is kept"
                                   : fmt::format(": M = {}", selection.salient);
  if (method.keeps_sub_salient) text += fmt::format(", S = {}", selection.sub_salient);
  return text + (method.scans ? fmt::format(", L = {} a scan step",
                                            counted(selection.scan_patches, "patch", "patches"))
                              : ", no scan");
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
  const double bytes_of_batch = static_cast<double>(std::min(batch, train)) /
                                static_cast<double>(config.training.micro_batches) *
                                static_cast<double>(patches.bytes_most);
  // Of vectors each rank of a patch group holds its part.
  const int64_t sharing = vectors ? config.distributed.patch_group : 1;
  log::info("run        {} (seed {})", folder.string(), config.experiment.seed);
  log::info("ranks      {} on {}, {} each, {} a step, gradients by {}", world.world_size(),
            device.str(), counted(config.distributed.threads, "compute thread"),
            counted(config.training.micro_batches, "micro-batch", "micro-batches"), backend);
  log::info("pictures   {} train, {} validation, {} test", train,
            dataset.of_split(data::Split::kValidation).size(),
            dataset.of_split(data::Split::kTest).size());
  if (config.data.stage_homes > 0) log::info("homes      {}", homes_text(config, dataset, world));
  log::info("patches    {}", patches_text(config, patches));
  log::info("selection  {}", selection_text(config.selection));
  log::info("model      {} -> {} -> {}", config.encoder.kind, config.aggregator.kind,
            counted(static_cast<int64_t>(config.tasks.size()), "task"));
  if (dataset.kind() == store::Kind::kTiles) {
    log::info(
        "memory     tiles come a scan step at a time; {} of pixels a micro-batch pass through",
        format_bytes(bytes_of_batch));
  } else {
    log::info("memory     {} of {} a micro-batch{}; up to {} of {} in flight on the host",
              format_bytes(bytes_of_batch / static_cast<double>(sharing)),
              vectors ? "vectors" : "pixels", sharing > 1 ? " and rank" : "",
              format_bytes(static_cast<double>(config.data.host_bytes)),
              vectors ? "vectors" : "pictures");
  }
  log::info("steps      {} x {} = {}", counted(config.training.epochs, "epoch"),
            schedule.steps_per_epoch, schedule.total_steps);
  warn_of_patches(config, patches);
}

void rehearse(const Session& session) {
  Trainer trainer(session);
  const StepResult result = trainer.rehearse();
  if (session.world.rank() != 0) return;
  log::info("one step   {:.2f} s: loss {:.4f}, {} scanned, {} of tensors at its peak",
            result.seconds, result.loss, counted(result.patches_scanned, "patch", "patches"),
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

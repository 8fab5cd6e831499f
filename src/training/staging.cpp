#include "training/staging.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/text.h"
#include "distributed/collectives.h"
#include "store/scratch.h"
#include "training/stopping.h"
#include "training/stopwatch.h"

namespace dbps::training {
namespace {

bool is_staged(const config::Config& config) {
  return config.data.placement == data::StorePlacement::kStaged;
}

// That a patch group spans; count_places() has found them whole.
int64_t nodes_a_group(const config::Config& config, const distributed::World& world) {
  return std::max<int64_t>(1, config.distributed.patch_group / world.local_size());
}

// What this node's ranks read of every bag. A picture is one piece.
store::Portion portion_of_node(const config::Config& config, const data::Dataset& dataset,
                               const distributed::World& world) {
  const int64_t nodes = nodes_a_group(config, world);
  if (nodes == 1 || dataset.kind() == store::Kind::kImages) return {};
  const int64_t first = world.node() % nodes * world.local_size();
  return {first, first + world.local_size(), config.distributed.patch_group};
}

// A copy a home and store, of those at this place.
std::vector<StagedCopy> copies_of_node(const config::Config& config, const data::Dataset& dataset,
                                       const distributed::World& world) {
  const auto [first, last] = reader_place(config, world).at_place(dataset.num_homes());
  const store::Portion portion = portion_of_node(config, dataset, world);
  std::map<std::pair<int64_t, int64_t>, std::vector<int64_t>> bags;  // of a home and store
  for (size_t i = 0; i < dataset.pictures().size(); ++i) {
    const data::Picture& picture = dataset.pictures()[i];
    if (picture.split == data::Split::kTest) continue;
    if (picture.home < first || picture.home >= last) continue;
    std::vector<int64_t>& some = bags[{picture.home, picture.store}];
    for (const int64_t part : dataset.whole_bag(static_cast<int64_t>(i)).parts()) {
      some.push_back(part);
    }
  }
  std::vector<StagedCopy> copies;
  for (auto& [place, some] : bags) {
    const auto [home, store] = place;
    copies.push_back(
        {store, store::LocalCopy(dataset.store(store), config.data.stage_dir,
                                 fmt::format("home {} of {}", home, dataset.num_homes()),
                                 std::move(some), portion)});
  }
  return copies;
}

store::Scratch scratch_of(const config::Config& config, const distributed::World& world) {
  return store::Scratch(config.data.stage_dir, fmt::format("{}: data.stage_dir = {}", world.host(),
                                                           config.data.stage_dir));
}

uint64_t bytes_missing(const std::vector<StagedCopy>& copies) {
  uint64_t bytes = 0;
  for (const StagedCopy& one : copies) bytes += one.copy.bytes_missing();
  return bytes;
}

// Returns the line about it.
std::string fill(std::vector<StagedCopy>& copies, const config::Config& config,
                 const distributed::World& world, distributed::Watchdog& watchdog) {
  uint64_t total = 0;
  for (const StagedCopy& one : copies) total += one.copy.bytes();
  Progress progress("copying to data.stage_dir", world.rank() == 0);
  std::atomic<uint64_t> done{0};
  const auto go_on = [&](uint64_t bytes) {
    stop_or_go_on(watchdog);
    if (bytes == 0) return;
    done += bytes;
    progress.update(format_bytes(static_cast<double>(done)),
                    static_cast<double>(done) / static_cast<double>(total));
  };
  const Stopwatch watch;
  store::LocalCopy::Filled all;
  for (StagedCopy& staged : copies) {
    const auto one = staged.copy.fill(static_cast<int>(config.data.decode_threads), go_on);
    all.copied += one.copied;
    all.kept += one.kept;
  }
  return fmt::format("staged     {}: {} copied to {} in {:.1f} s, {} were there", world.host(),
                     format_bytes(static_cast<double>(all.copied)), config.data.stage_dir,
                     watch.seconds(), format_bytes(static_cast<double>(all.kept)));
}

}  // namespace

data::ReaderPlace reader_place(const config::Config& config, const distributed::World& world) {
  const distributed::PatchGroup group = distributed::patch_group_of(world, config.distributed);
  if (!is_staged(config)) return {0, 1, group.group, group.num_groups};
  const int64_t nodes = nodes_a_group(config, world);
  return {world.node() / nodes, world.num_nodes() / nodes, world.local_rank() / group.size,
          std::max(1, world.local_size() / group.size)};
}

data::BagShare bag_share(const config::Config& config, const data::Dataset& dataset,
                         const distributed::World& world) {
  const distributed::PatchGroup group = distributed::patch_group_of(world, config.distributed);
  data::BagShare share;
  share.member = group.member;
  share.members = group.size;
  share.by_place = config.data.stage_homes > 0;
  share.apart = is_staged(config) && dataset.kind() != store::Kind::kImages &&
                nodes_a_group(config, world) > 1;
  return share;
}

int64_t count_places(const config::Config& config, distributed::World& world) {
  const int num_nodes = world.num_nodes();
  if (!is_staged(config)) return num_nodes;
  const int size = distributed::patch_group_of(world, config.distributed).size;
  const std::vector<std::string> node_of = world.all_gather(std::to_string(world.node()));
  const auto stray = [&] {
    int r = 0;
    while (r < world.world_size() && node_of[r] == node_of[r / size * size]) ++r;
    return r;
  }();
  if (stray == world.world_size()) return num_nodes;
  const int a_node = world.world_size() / num_nodes;
  bool whole = world.world_size() % num_nodes == 0 && size % a_node == 0;
  for (int r = 0; r < world.world_size() && whole; ++r) {
    whole = node_of[r] == std::to_string(r / a_node);
  }
  if (whole) return num_nodes / (size / a_node);
  throw ConfigError(fmt::format(
      "distributed.patch_group = {}: ranks {} and {} share slides but lie on different nodes, "
      "which with data.placement = \"staged\" groups must fill: start as many ranks on each node, "
      "neighbours on one (--map-by slot), and let patch_group divide them or be a multiple of them",
      size, stray / size * size, stray));
}

void check_placement(const config::Config& config, distributed::World& world) {
  if (!is_staged(config)) return;
  const auto [first, last] = reader_place(config, world).own(config.training.micro_batches);
  if (world.max(first == last ? 1 : 0) == 0) return;
  throw ConfigError(fmt::format(
      "training.micro_batches = {}: of the {} of each of {} nodes not every rank gets one: start "
      "as "
      "many ranks on each node, or set training.micro_batches higher (it is part of the result)",
      config.training.micro_batches, config.training.micro_batches / world.num_nodes(),
      world.num_nodes()));
}

void check_stage_room(const config::Config& config, const data::Dataset& dataset,
                      distributed::World& world) {
  if (!is_staged(config)) return;
  distributed::all_or_none(world, "looking for room in data.stage_dir", [&] {
    if (world.local_rank() != 0) return;
    scratch_of(config, world).check_room(bytes_missing(copies_of_node(config, dataset, world)));
  });
}

std::vector<StagedCopy> stage(const config::Config& config, data::Dataset& dataset,
                              distributed::World& world, distributed::Watchdog& watchdog) {
  if (!is_staged(config)) return {};
  std::vector<StagedCopy> copies = copies_of_node(config, dataset, world);
  const bool copies_here = world.local_rank() == 0;
  copies_here ? watchdog.phase("stage") : watchdog.wait("stage");
  std::string said;  // for rank 0 to log
  bool stopped = false;
  distributed::all_or_none(world, "making room in data.stage_dir", [&] {
    if (!copies_here) return;
    store::Scratch scratch = scratch_of(config, world);
    scratch.lock();
    for (StagedCopy& one : copies) one.copy.claim();
    for (const auto& gone : scratch.make_room(bytes_missing(copies))) {
      said += fmt::format("staged     {}: removed {}, which no run read\n", world.host(),
                          gone.string());
    }
    for (const StagedCopy& one : copies) one.copy.reserve();
  });
  distributed::all_or_none(world, "copying to data.stage_dir", [&] {
    if (!copies_here) return;
    try {
      said += fill(copies, config, world, watchdog);
    } catch (const StopRequested&) {
      stopped = true;
    }
    watchdog.wait("stage");
  });
  if (world.max(stopped ? 1 : 0) > 0) {
    throw Stopped(
        "stopped by a signal while copying to data.stage_dir; the same command goes on from here");
  }
  for (const std::string& lines : world.all_gather(said)) {
    if (lines.empty() || world.rank() != 0) continue;
    for (const std::string& line : split(lines, '\n')) log::info("{}", line);
  }
  distributed::all_or_none(world, "opening the copies in data.stage_dir", [&] {
    for (const auto& [store, copy] : copies) dataset.read_from(store, copy.folder(), copy.ranges());
  });
  return copies;
}

}  // namespace dbps::training

// data.placement = "staged": each node copies the bags of its homes to a disk of its own and reads
// them there; of slides and features that a patch group over several nodes shares, its ranks' part.
#pragma once

#include <cstdint>
#include <vector>

#include "config/config.h"
#include "data/bag_share.h"
#include "data/dataset.h"
#include "data/homes.h"
#include "distributed/watchdog.h"
#include "distributed/world.h"
#include "store/local_copy.h"

namespace dbps::training {

// Which part of what lies in homes this rank's patch group reads.
data::ReaderPlace reader_place(const config::Config& config, const distributed::World& world);

// Which part of every bag this rank scans.
data::BagShare bag_share(const config::Config& config, const data::Dataset& dataset,
                         const distributed::World& world);

// Bags of store number `store` of the dataset.
struct StagedCopy {
  int64_t store = 0;
  store::LocalCopy copy;
};

// How many places the homes of a staged store are dealt to (data/homes.h). Throws ConfigError
// unless each patch group lies on one node, or all fill as many whole nodes. Collective.
int64_t count_places(const config::Config& config, distributed::World& world);

// Whether each rank finds micro-batches at its place; nothing to say of "shared". Throws
// ConfigError. Collective.
void check_placement(const config::Config& config, distributed::World& world);

// Whether each node has room for its share, copying nothing. Throws RuntimeFault. Collective.
void check_stage_room(const config::Config& config, const data::Dataset& dataset,
                      distributed::World& world);

// Copies what training and validation read, and has the dataset read it there; the other pictures
// are read from the store itself. One rank a node copies, all others wait. Returns what keeps the
// copies from eviction. With "shared" does nothing. Throws RuntimeFault when a node has no room,
// before any has copied; DataError when the store is damaged; Stopped after a signal: the next one
// goes on. Collective.
std::vector<StagedCopy> stage(const config::Config& config, data::Dataset& dataset,
                              distributed::World& world, distributed::Watchdog& watchdog);

}  // namespace dbps::training

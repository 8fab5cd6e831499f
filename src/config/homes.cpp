// What must go together where the store lies in several homes.
#include <fmt/format.h>

#include <algorithm>

#include "config/schema.h"

namespace dbps::config {

void check_homes(const Config& config, const Where& where) {
  const data::DataOptions& data = config.data;
  if (data.placement == data::StorePlacement::kStaged && data.stage_dir.empty()) {
    refuse(where, "data.stage_dir",
           "is missing: with data.placement = \"staged\", a folder on each node's own disk");
  }
  const int64_t homes = std::max<int64_t>(1, data.stage_homes);
  if (config.training.batch_size_global % homes != 0) {
    refuse(where, "training.batch_size_global",
           fmt::format("= {} must be a multiple of data.stage_homes = {}: each batch takes as many "
                       "pictures from each home",
                       config.training.batch_size_global, homes));
  }
  if (config.training.micro_batches % homes != 0) {
    refuse(
        where, "training.micro_batches",
        fmt::format("= {} must be a multiple of data.stage_homes = {}: a micro-batch lies in one "
                    "home",
                    config.training.micro_batches, homes));
  }
}

void fit_homes(Config& config, int64_t places) {
  data::DataOptions& data = config.data;
  if (data.placement == data::StorePlacement::kStaged) {
    if (data.stage_homes == 0) data.stage_homes = places;
    if (data.stage_homes % places != 0) {
      refuse(
          written_in(config), "data.stage_homes",
          fmt::format("= {} must be a multiple of the {} nodes{}: start on a divisor of it, or set "
                      "data.placement = \"shared\"",
                      data.stage_homes, places,
                      config.distributed.patch_group > 1
                          ? " (or groups of nodes, where distributed.patch_group spans several)"
                          : ""));
    }
  }
  check_homes(config, written_in(config));
}

}  // namespace dbps::config

// A loader's batches, all of them.
#pragma once

#include <utility>
#include <vector>

#include "data/loader.h"

namespace dbps::data {

inline std::vector<HostBatch> load_all(const Dataset& dataset, const LoaderOptions& options,
                                       const std::vector<std::vector<int64_t>>& batches) {
  Loader loader(dataset, options, batches);
  std::vector<HostBatch> loaded;
  while (auto batch = loader.next()) loaded.push_back(std::move(*batch));
  return loaded;
}

}  // namespace dbps::data

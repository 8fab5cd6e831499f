#include <numeric>

#include "selection/methods.h"

namespace dbps::selection {

Selection select_without_scan(const Bags& bags,
                              const std::vector<std::vector<int64_t>>& salient_of_bag) {
  Selection selection;
  selection.sub_salient.resize(salient_of_bag.size());
  selection.sub_salient_embeddings.offsets.assign(bags.offsets.size(), 0);
  for (size_t b = 0; b < salient_of_bag.size(); ++b) {
    Selected selected;
    for (const int64_t i : salient_of_bag[b]) selected.rows.push_back(bags.offsets[b] + i);
    const auto n = static_cast<float>(bags.offsets[b + 1] - bags.offsets[b]);
    selected.scores.assign(selected.rows.size(), 1.0f / n);
    selection.salient.push_back(std::move(selected));
  }
  return selection;
}

Selection select_every_patch(const Bags& bags) {
  std::vector<std::vector<int64_t>> salient(bags.offsets.size() - 1);
  for (size_t b = 0; b < salient.size(); ++b) {
    salient[b].resize(static_cast<size_t>(bags.offsets[b + 1] - bags.offsets[b]));
    std::iota(salient[b].begin(), salient[b].end(), 0);
  }
  return select_without_scan(bags, salient);
}

}  // namespace dbps::selection

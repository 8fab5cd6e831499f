// M patches of each bag drawn uniformly: what selection is measured against.
#include <algorithm>

#include "base/error.h"
#include "base/random.h"
#include "selection/methods.h"

namespace dbps::selection {
namespace {

class RandomSelector : public Selector {
 public:
  // Evaluation draws as in epoch 0, so that its figures do not depend on when it takes place.
  Selection select(const Bags& bags, const Scorer&, const Request& request) const override {
    DBPS_CHECK(request.sub_salient == 0, "random keeps no sub-salient patches");
    const auto epoch = static_cast<uint64_t>(request.training ? request.epoch : 0);
    std::vector<std::vector<int64_t>> salient;
    for (size_t b = 0; b < bags.sample.size(); ++b) {
      const int64_t n = bags.offsets[b + 1] - bags.offsets[b];
      RandomStream random(static_cast<uint64_t>(request.seed), Purpose::kSelect, epoch,
                          bags.sample[b]);
      salient.push_back(random.choose(n, std::min(request.salient, n)));
    }
    return select_without_scan(bags, salient);
  }
};

}  // namespace

std::unique_ptr<Selector> make_random(const SelectionOptions&) {
  return std::make_unique<RandomSelector>();
}

}  // namespace dbps::selection

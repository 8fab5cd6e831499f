// The whole picture as one patch: an ordinary classifier.
#include "base/error.h"
#include "selection/methods.h"

namespace dbps::selection {
namespace {

class WholeSelector : public Selector {
 public:
  Selection select(const Bags& bags, const Scorer&, const Request& request) const override {
    DBPS_CHECK(request.sub_salient == 0, "whole keeps no sub-salient patches");
    for (size_t b = 0; b + 1 < bags.offsets.size(); ++b) {
      DBPS_CHECK(bags.offsets[b + 1] - bags.offsets[b] == 1,
                 "whole takes pictures that are not cut");
    }
    return select_every_patch(bags);
  }
};

}  // namespace

std::unique_ptr<Selector> make_whole(const SelectionOptions&) {
  return std::make_unique<WholeSelector>();
}

}  // namespace dbps::selection

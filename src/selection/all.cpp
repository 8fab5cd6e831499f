// Every patch is salient: the upper bound. Device memory grows with N, as is its nature.
#include "base/error.h"
#include "selection/methods.h"

namespace dbps::selection {
namespace {

class AllSelector : public Selector {
 public:
  Selection select(const Bags& bags, const Scorer&, const Request& request) const override {
    DBPS_CHECK(request.sub_salient == 0, "all keeps no sub-salient patches");
    return select_every_patch(bags);
  }
};

}  // namespace

std::unique_ptr<Selector> make_all(const SelectionOptions&) {
  return std::make_unique<AllSelector>();
}

}  // namespace dbps::selection

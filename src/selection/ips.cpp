// Iterative Patch Selection: the same scan with one buffer.
#include "base/error.h"
#include "selection/methods.h"
#include "selection/scan.h"

namespace dbps::selection {
namespace {

class IpsSelector : public Selector {
 public:
  explicit IpsSelector(const SelectionOptions& options) : options_(options) {}

  Selection select(const Bags& bags, const Scorer& scorer, const Request& request) const override {
    DBPS_CHECK(request.sub_salient == 0, "ips keeps no sub-salient patches");
    return scan(bags, scorer, request, options_.ranking, options_.shuffle);
  }

 private:
  SelectionOptions options_;
};

}  // namespace

std::unique_ptr<Selector> make_ips(const SelectionOptions& options) {
  return std::make_unique<IpsSelector>(options);
}

}  // namespace dbps::selection

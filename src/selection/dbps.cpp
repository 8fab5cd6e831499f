// Dual-Buffer Patch Selection: the most salient patches, and the next ones for recycling.
#include "selection/methods.h"
#include "selection/scan.h"

namespace dbps::selection {
namespace {

class DbpsSelector : public Selector {
 public:
  explicit DbpsSelector(const SelectionOptions& options) : options_(options) {}

  Selection select(const Bags& bags, const Scorer& scorer, const Request& request) const override {
    return scan(bags, scorer, request, options_.ranking, options_.shuffle);
  }

 private:
  SelectionOptions options_;
};

}  // namespace

std::unique_ptr<Selector> make_dbps(const SelectionOptions& options) {
  return std::make_unique<DbpsSelector>(options);
}

}  // namespace dbps::selection

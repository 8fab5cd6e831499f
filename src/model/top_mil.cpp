// TopMIL: the heads classify single patches. Selection ranks all of them by the heads' confidence,
// and the M salient ones inherit their bag's label.
#include <ATen/ATen.h>

#include "base/error.h"
#include "model/aggregators.h"

namespace dbps::model {
namespace {

class TopMil final : public Aggregator {
 public:
  at::Tensor aggregate(const Ragged& salient, const Ragged& sub_salient, const at::Tensor&,
                       const at::Tensor&, const Forward&) override {
    DBPS_CHECK(!sub_salient.values.defined(), "top_mil has no use for sub-salient patches");
    return salient.values.unsqueeze(1);
  }
  bool classifies_patches() const override { return true; }
  Parameters& parameters() override { return parameters_; }

 private:
  Parameters parameters_;
};

}  // namespace

std::unique_ptr<Aggregator> make_top_mil(const AggregatorOptions&, int64_t, int64_t,
                                         at::TensorOptions, int64_t) {
  return std::make_unique<TopMil>();
}

}  // namespace dbps::model

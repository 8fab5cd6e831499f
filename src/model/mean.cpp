// The mean of a bag's embeddings, one token for all tasks. With a picture taken whole it is an
// ordinary classifier: encoder, pooling, Linear.
#include <ATen/ATen.h>

#include "model/aggregators.h"

namespace dbps::model {
namespace {

class Mean final : public Aggregator {
 public:
  at::Tensor aggregate(const Ragged& salient, const Ragged& sub_salient, const at::Tensor&,
                       const at::Tensor&, const Forward&) override {
    return bag_means(with_detached(salient, sub_salient)).unsqueeze(1);
  }
  Parameters& parameters() override { return parameters_; }

 private:
  Parameters parameters_;
};

}  // namespace

std::unique_ptr<Aggregator> make_mean(const AggregatorOptions&, int64_t, int64_t, at::TensorOptions,
                                      int64_t) {
  return std::make_unique<Mean>();
}

}  // namespace dbps::model

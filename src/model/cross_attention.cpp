// One attention over salient and sub-salient rows together, or over the salient alone (IPS).
#include <ATen/ATen.h>

#include "model/aggregators.h"
#include "model/attention.h"

namespace dbps::model {
namespace {

class CrossAttention final : public AttentionAggregator {
 public:
  using AttentionAggregator::AttentionAggregator;

  at::Tensor aggregate(const Ragged& salient, const Ragged& sub_salient,
                       const at::Tensor& salient_places, const at::Tensor& sub_salient_places,
                       const Forward& forward) override {
    Ragged rows = placed(salient, salient_places);
    if (sub_salient.values.defined() && sub_salient.values.size(0) > 0) {
      rows = with_detached(rows, placed(sub_salient, sub_salient_places));
    }
    return transform(normalise(attend(query(), pad(rows), forward) + query()), forward);
  }
};

}  // namespace

std::unique_ptr<Aggregator> make_cross_attention(const AggregatorOptions& options, int64_t width,
                                                 int64_t num_tasks, at::TensorOptions tensor,
                                                 int64_t seed) {
  return std::make_unique<CrossAttention>(options, width, num_tasks, tensor, seed);
}

}  // namespace dbps::model

// Two attentions in turn with the same weights, over salient and then over sub-salient rows.
#include <ATen/ATen.h>

#include "model/aggregators.h"
#include "model/attention.h"

namespace dbps::model {
namespace {

class DualAttention final : public AttentionAggregator {
 public:
  using AttentionAggregator::AttentionAggregator;

  at::Tensor aggregate(const Ragged& salient, const Ragged& sub_salient,
                       const at::Tensor& salient_places, const at::Tensor& sub_salient_places,
                       const Forward& forward) override {
    at::Tensor z = attend(query(), pad(placed(salient, salient_places)), forward) + query();  // Z1
    if (sub_salient.values.defined() && sub_salient.values.size(0) > 0) {
      const Ragged rows = {sub_salient.values.detach(), sub_salient.offsets};
      z = z + recycle(z, placed(rows, sub_salient_places), forward);
    }
    return transform(normalise(z), forward);
  }

 private:
  // Z2 from Z1 (B, T, D); zero for bags without sub-salient rows, over which there is no softmax.
  at::Tensor recycle(const at::Tensor& z1, const Ragged& rows, const Forward& forward) const {
    const at::Tensor query = normalise(z1);
    Ragged present = {rows.values, {0}};
    std::vector<int64_t> bags;
    for (int64_t bag = 0; bag < rows.num_bags(); ++bag) {
      if (rows.size(bag) == 0) continue;
      bags.push_back(bag);
      present.offsets.push_back(rows.offsets[bag + 1]);
    }
    if (present.num_bags() == rows.num_bags()) return attend(query, pad(rows), forward);
    const at::Tensor index = at::tensor(bags, at::kLong).to(z1.device());
    return at::zeros_like(z1).index_copy(
        0, index, attend(query.index_select(0, index), pad(present), forward));
  }
};

}  // namespace

std::unique_ptr<Aggregator> make_dual_attention(const AggregatorOptions& options, int64_t width,
                                                int64_t num_tasks, at::TensorOptions tensor,
                                                int64_t seed) {
  return std::make_unique<DualAttention>(options, width, num_tasks, tensor, seed);
}

}  // namespace dbps::model

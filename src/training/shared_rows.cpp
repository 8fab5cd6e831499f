#include "training/shared_rows.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>

namespace dbps::training {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class Join : public torch::autograd::Function<Join> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& own, int64_t first,
                            int64_t total, distributed::Collectives* group, double scale) {
    context->saved_data["first"] = first;
    context->saved_data["count"] = own.size(0);
    context->saved_data["scale"] = scale;
    at::Tensor all = at::zeros({total, own.size(1)}, own.options());
    all.narrow(0, first, own.size(0)).copy_(own);
    return distributed::sum(*group, all);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor own = gradients[0].narrow(0, context->saved_data["first"].toInt(),
                                               context->saved_data["count"].toInt());
    return {own * context->saved_data["scale"].toDouble(), {}, {}, {}, {}};
  }
};

}  // namespace

std::vector<int64_t> row_shares(int64_t n, int num_members) {
  std::vector<int64_t> shares;
  for (int64_t member = 0; member < num_members; ++member) {
    shares.push_back((member + 1) * n / num_members - member * n / num_members);
  }
  return shares;
}

at::Tensor join_rows(const at::Tensor& own, const std::vector<int64_t>& shares,
                     distributed::Collectives& group, double scale) {
  const auto begin = shares.begin();
  const int64_t first = std::accumulate(begin, begin + group.rank(), int64_t{0});
  const int64_t total = std::accumulate(begin, shares.end(), int64_t{0});
  return Join::apply(own, first, total, &group, scale);
}

}  // namespace dbps::training

#include "training/shared_rows.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/parallel.h"

namespace dbps::training {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class Join : public torch::autograd::Function<Join> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& own,
                            const model::RowGroup* group) {
    context->saved_data["first"] = group->first_row();
    context->saved_data["count"] = own.size(0);
    context->saved_data["members"] = static_cast<double>(group->rows.size());
    at::Tensor all = at::zeros({group->total_rows(), own.size(1)}, own.options());
    all.narrow(0, group->first_row(), own.size(0)).copy_(own);
    return group->sum(all);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor own = gradients[0].narrow(0, context->saved_data["first"].toInt(),
                                               context->saved_data["count"].toInt());
    return {own * context->saved_data["members"].toDouble(), {}};
  }
};

}  // namespace

std::vector<int64_t> row_shares(int64_t n, int num_members) {
  std::vector<int64_t> shares;
  for (int64_t member = 0; member < num_members; ++member) {
    const auto [first, last] = share_of(n, member, num_members);
    shares.push_back(last - first);
  }
  return shares;
}

at::Tensor join_rows(const at::Tensor& own, const model::RowGroup& group) {
  return Join::apply(own, &group);
}

}  // namespace dbps::training

#include "selection/shared.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace dbps::selection {
namespace {

// What a rank offers of a bag.
constexpr int64_t kRow = 0;
constexpr int64_t kScore = 1;
constexpr int64_t kKey = 2;
constexpr int64_t kNumbers = 3;
constexpr double kNoRow = -1.0;

struct Denominators {
  std::vector<double> largest;  // a head
  std::vector<ExactSum> sums;
};

// Of each bag, over its patches on all ranks.
std::vector<Denominators> denominators(const std::vector<PartOfBag>& parts,
                                       const std::vector<std::vector<int64_t>>& order,
                                       int64_t heads, distributed::Collectives& group) {
  const auto bags = static_cast<int64_t>(parts.size());
  at::Tensor own = at::empty({bags, heads}, at::kDouble);
  for (int64_t b = 0; b < bags; ++b) {
    const std::vector<double> largest = largest_logits(*parts[b].bag, heads, order[b]);
    std::copy(largest.begin(), largest.end(), own[b].data_ptr<double>());
  }
  const at::Tensor largest = distributed::gather(group, own).amax(0).contiguous();

  std::vector<Denominators> result(parts.size());
  own = at::empty({bags, heads, 2}, at::kDouble);
  for (int64_t b = 0; b < bags; ++b) {
    const double* of_bag = largest[b].const_data_ptr<double>();
    result[b].largest.assign(of_bag, of_bag + heads);
    double* out = own[b].data_ptr<double>();
    for (const ExactSum& sum : sum_exponentials(*parts[b].bag, order[b], result[b].largest)) {
      *out++ = sum.high;
      *out++ = sum.low;
    }
  }
  const at::Tensor sums = distributed::gather(group, own).contiguous();
  for (int64_t b = 0; b < bags; ++b) {
    result[b].sums.resize(static_cast<size_t>(heads));
    for (int64_t member = 0; member < group.size(); ++member) {
      const double* from = sums[member][b].const_data_ptr<double>();
      for (ExactSum& sum : result[b].sums) {
        sum.add({from[0], from[1]});
        from += 2;
      }
    }
  }
  return result;
}

}  // namespace

std::vector<RankedParts> rank_parts(const std::vector<PartOfBag>& parts, int64_t capacity,
                                    int64_t heads, distributed::Collectives& group) {
  const auto bags = static_cast<int64_t>(parts.size());
  std::vector<std::vector<int64_t>> order;
  for (const PartOfBag& part : parts) order.push_back(in_grid_order(*part.bag));
  const std::vector<Denominators> of_bags = denominators(parts, order, heads, group);
  std::vector<RankedParts> result(parts.size());
  at::Tensor own = at::full({bags, capacity, kNumbers}, kNoRow, at::kDouble);
  for (int64_t b = 0; b < bags; ++b) {
    const PartOfBag& part = parts[b];
    const std::vector<Ranked> ranked =
        rank(*part.bag, order[b], of_bags[b].largest, of_bags[b].sums);
    double* out = own[b].data_ptr<double>();
    for (int64_t i = 0; i < std::min<int64_t>(capacity, ranked.size()); ++i, out += kNumbers) {
      out[kRow] = static_cast<double>((*part.rows)[ranked[i].position]);
      out[kScore] = ranked[i].score;
      out[kKey] = ranked[i].key;
    }
    result[b].own_scores.resize(ranked.size());
    for (const Ranked& entry : ranked) result[b].own_scores[entry.position] = entry.score;
  }
  const at::Tensor all = distributed::gather(group, own).contiguous();
  for (int64_t b = 0; b < bags; ++b) {
    std::vector<RankedRow>& best = result[b].best;
    for (int64_t member = 0; member < group.size(); ++member) {
      const double* from = all[member][b].const_data_ptr<double>();
      for (int64_t i = 0; i < capacity && from[kRow] != kNoRow; ++i, from += kNumbers) {
        best.push_back({static_cast<int64_t>(from[kRow]), from[kScore], from[kKey]});
      }
    }
    std::sort(best.begin(), best.end(), [](const RankedRow& a, const RankedRow& b) {
      return a.key != b.key ? a.key > b.key : a.row < b.row;
    });
    best.resize(std::min<size_t>(best.size(), static_cast<size_t>(capacity)));
  }
  return result;
}

}  // namespace dbps::selection

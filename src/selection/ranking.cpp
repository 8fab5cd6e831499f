#include "selection/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace dbps::selection {
namespace {

std::vector<double> head_mean_softmax(const ScannedBag& bag, const std::vector<int64_t>& set,
                                      const std::vector<double>& largest,
                                      const std::vector<ExactSum>& sums) {
  std::vector<double> scores(set.size(), 0.0);
  for (size_t head = 0; head < largest.size(); ++head) {
    const double sum = sums[head].value();
    for (size_t i = 0; i < set.size(); ++i) {
      scores[i] += std::exp(bag.logits[set[i] * bag.heads + head] - largest[head]) / sum;
    }
  }
  for (double& score : scores) score /= static_cast<double>(largest.size());
  return scores;
}

void append_positions(const std::vector<Ranked>& ranked, std::vector<int64_t>& positions) {
  for (const Ranked& entry : ranked) positions.push_back(entry.position);
}

void append_range(int64_t first, int64_t end, std::vector<int64_t>& positions) {
  for (int64_t position = first; position < end; ++position) positions.push_back(position);
}

// The released code: an S entry never competes for M again.
class UpstreamBuffers : public Buffers {
 public:
  using Buffers::Buffers;

  void take_in(const ScannedBag& bag, int64_t first, int64_t seen) override {
    std::vector<int64_t> candidates;
    append_positions(salient_, candidates);
    append_range(first, seen, candidates);
    std::sort(candidates.begin(), candidates.end());
    salient_ = rank(bag, candidates);
    if (static_cast<int64_t>(salient_.size()) <= capacity_salient_) return;

    const std::vector<Ranked> others(salient_.begin() + capacity_salient_, salient_.end());
    salient_.resize(capacity_salient_);
    if (capacity_sub_salient_ == 0) return;
    candidates.clear();
    append_positions(others, candidates);
    append_positions(sub_salient_, candidates);
    std::sort(candidates.begin(), candidates.end());
    sub_salient_ = rank(bag, candidates);
    if (static_cast<int64_t>(sub_salient_.size()) > capacity_sub_salient_) {
      sub_salient_.resize(capacity_sub_salient_);
    }
  }
};

// The paper's equations (3) and (4): both buffers and the step compete together.
class JointBuffers : public Buffers {
 public:
  using Buffers::Buffers;

  void take_in(const ScannedBag& bag, int64_t first, int64_t seen) override {
    std::vector<int64_t> candidates;
    append_positions(salient_, candidates);
    append_positions(sub_salient_, candidates);
    append_range(first, seen, candidates);
    std::sort(candidates.begin(), candidates.end());
    fill(rank(bag, candidates));
  }
};

// One softmax over the whole bag, in grid order: steps and shuffle leave no trace, not even in the
// order in which the sums are taken.
class GlobalBuffers : public Buffers {
 public:
  using Buffers::Buffers;

  void take_in(const ScannedBag&, int64_t, int64_t) override {}

  void close(const ScannedBag& bag) override { fill(rank(bag, in_grid_order(bag))); }

  bool decides_at_close() const override { return true; }
};

}  // namespace

void ExactSum::add(double x) {
  const double sum = high + x;
  const double added = sum - high;
  low += (high - (sum - added)) + (x - added);
  high = sum;
}

void ExactSum::add(const ExactSum& other) {
  add(other.high);
  low += other.low;
}

std::vector<double> largest_logits(const ScannedBag& bag, int64_t heads,
                                   const std::vector<int64_t>& set) {
  std::vector<double> largest(static_cast<size_t>(heads), -std::numeric_limits<double>::infinity());
  for (const int64_t position : set) {
    for (int64_t head = 0; head < heads; ++head) {
      largest[head] = std::max(largest[head], bag.logits[position * heads + head]);
    }
  }
  return largest;
}

std::vector<ExactSum> sum_exponentials(const ScannedBag& bag, const std::vector<int64_t>& set,
                                       const std::vector<double>& largest) {
  const auto heads = static_cast<int64_t>(largest.size());
  std::vector<ExactSum> sums(largest.size());
  for (const int64_t position : set) {
    for (int64_t head = 0; head < heads; ++head) {
      sums[head].add(std::exp(bag.logits[position * heads + head] - largest[head]));
    }
  }
  return sums;
}

std::vector<Ranked> rank(const ScannedBag& bag, const std::vector<int64_t>& set) {
  const std::vector<double> largest = largest_logits(bag, bag.heads, set);
  return rank(bag, set, largest, sum_exponentials(bag, set, largest));
}

std::vector<Ranked> rank(const ScannedBag& bag, const std::vector<int64_t>& set,
                         const std::vector<double>& largest, const std::vector<ExactSum>& sums) {
  const std::vector<double> scores = head_mean_softmax(bag, set, largest, sums);
  std::vector<double> keys(set.size());
  for (size_t i = 0; i < set.size(); ++i) {
    keys[i] = bag.noise.empty() ? scores[i] : std::log(scores[i]) + bag.noise[set[i]];
    // A model that has diverged is reported by its loss; a sort needs an order even then.
    if (std::isnan(keys[i])) keys[i] = -std::numeric_limits<double>::infinity();
  }
  std::vector<size_t> order(set.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return keys[a] > keys[b]; });

  std::vector<Ranked> ranked;
  ranked.reserve(set.size());
  for (const size_t i : order) ranked.push_back({set[i], scores[i], keys[i]});
  return ranked;
}

std::vector<double> whole_bag_scores(const ScannedBag& bag) {
  const std::vector<int64_t> order = in_grid_order(bag);
  const std::vector<double> largest = largest_logits(bag, bag.heads, order);
  const std::vector<double> in_order =
      head_mean_softmax(bag, order, largest, sum_exponentials(bag, order, largest));
  std::vector<double> scores(order.size());
  for (size_t i = 0; i < order.size(); ++i) scores[order[i]] = in_order[i];
  return scores;
}

std::vector<int64_t> in_grid_order(const ScannedBag& bag) {
  std::vector<int64_t> positions(bag.place.size());
  std::iota(positions.begin(), positions.end(), 0);
  std::sort(positions.begin(), positions.end(),
            [&](int64_t a, int64_t b) { return bag.place[a] < bag.place[b]; });
  return positions;
}

void Buffers::fill(const std::vector<Ranked>& ranked) {
  const auto size = static_cast<int64_t>(ranked.size());
  const auto salient_end = ranked.begin() + std::min(size, capacity_salient_);
  const auto sub_salient_end =
      ranked.begin() + std::min(size, capacity_salient_ + capacity_sub_salient_);
  salient_.assign(ranked.begin(), salient_end);
  sub_salient_.assign(salient_end, sub_salient_end);
}

std::unique_ptr<Buffers> make_buffers(Ranking ranking, int64_t capacity_salient,
                                      int64_t capacity_sub_salient) {
  switch (ranking) {
    case Ranking::kUpstream:
      return std::make_unique<UpstreamBuffers>(capacity_salient, capacity_sub_salient);
    case Ranking::kJoint:
      return std::make_unique<JointBuffers>(capacity_salient, capacity_sub_salient);
    case Ranking::kGlobal:
      return std::make_unique<GlobalBuffers>(capacity_salient, capacity_sub_salient);
  }
  throw ConfigError("selection.ranking is none of upstream, joint, global");
}

}  // namespace dbps::selection

// The three rules written out from method.md, section 2, for one bag: slow, plain and independent
// of src/selection. Patches are named by their position in scan order.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace dbps::selection {

struct ReferenceBag {
  std::vector<std::vector<double>> logits;  // [position][head]
  std::vector<int> place;
  std::vector<double> noise;  // empty: none
};

struct ReferenceResult {
  std::vector<int> salient;
  std::vector<int> sub_salient;
  std::vector<double> salient_scores;
  // Two patches with different logits came within a relative gap of 1e-5 in a ranking.
  bool near_tie = false;
};

class Reference {
 public:
  Reference(ReferenceBag bag, int m, int s, int l) : bag_(std::move(bag)), m_(m), s_(s), l_(l) {}

  ReferenceResult upstream() {
    std::vector<int> buffer_m, buffer_s;
    std::vector<double> scores_m;
    for (const std::vector<int>& step : steps()) {
      std::vector<int> u = join(buffer_m, step);
      std::vector<int> ranked = ranking(u, /*by_place=*/false);
      buffer_m = first(ranked, m_);
      scores_m = first(scores_, m_);
      std::vector<int> others(ranked.begin() + buffer_m.size(), ranked.end());
      std::vector<int> v = join(others, buffer_s);
      buffer_s = first(ranking(v, false), s_);
    }
    return {buffer_m, buffer_s, scores_m, near_tie_};
  }

  ReferenceResult joint() {
    std::vector<int> buffer_m, buffer_s;
    std::vector<double> scores_m;
    for (const std::vector<int>& step : steps()) {
      std::vector<int> ranked = ranking(join(join(buffer_m, buffer_s), step), false);
      buffer_m = first(ranked, m_);
      scores_m = first(scores_, m_);
      buffer_s = first(std::vector<int>(ranked.begin() + buffer_m.size(), ranked.end()), s_);
    }
    return {buffer_m, buffer_s, scores_m, near_tie_};
  }

  ReferenceResult global() {
    std::vector<int> everything;
    for (int i = 0; i < size(); ++i) everything.push_back(i);
    std::vector<int> ranked = ranking(everything, /*by_place=*/true);
    std::vector<int> buffer_m = first(ranked, m_);
    std::vector<double> scores_m = first(scores_, m_);
    std::vector<int> rest(ranked.begin() + buffer_m.size(), ranked.end());
    return {buffer_m, first(rest, s_), scores_m, near_tie_};
  }

 private:
  int size() const { return static_cast<int>(bag_.logits.size()); }

  std::vector<std::vector<int>> steps() const {
    std::vector<std::vector<int>> all(1);
    int next = 0;
    while (next < size() && next < m_) all.back().push_back(next++);
    while (next < size()) {
      all.emplace_back();
      for (int i = 0; i < l_ && next < size(); ++i) all.back().push_back(next++);
    }
    return all;
  }

  template <typename T>
  static std::vector<T> first(const std::vector<T>& values, int n) {
    return {values.begin(), values.begin() + std::min<size_t>(values.size(), n)};
  }

  static std::vector<int> join(std::vector<int> a, const std::vector<int>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }

  double score(int patch, const std::vector<int>& set) const {
    const size_t heads = bag_.logits[patch].size();
    double mean = 0;
    for (size_t h = 0; h < heads; ++h) {
      double sum = 0;
      for (const int other : set) sum += std::exp(bag_.logits[other][h]);
      mean += std::exp(bag_.logits[patch][h]) / sum / static_cast<double>(heads);
    }
    return mean;
  }

  // Picks the best again and again.
  std::vector<int> ranking(std::vector<int> set, bool by_place) {
    std::vector<double> score_of(bag_.logits.size());
    for (const int patch : set) score_of[patch] = score(patch, set);
    const auto key = [&](int patch) {
      if (bag_.noise.empty()) return score_of[patch];
      return score_of[patch] * std::exp(bag_.noise[patch]);
    };
    const auto same = [&](int a, int b) {
      return bag_.logits[a] == bag_.logits[b] && (bag_.noise.empty() || a == b);
    };
    const auto before = [&](int a, int b) {
      if (!same(a, b) && key(a) != key(b)) return key(a) > key(b);
      return by_place ? bag_.place[a] < bag_.place[b] : a < b;
    };
    std::vector<int> ranked;
    scores_.clear();
    while (!set.empty()) {
      size_t best = 0;
      for (size_t i = 1; i < set.size(); ++i) {
        if (before(set[i], set[best])) best = i;
      }
      const int patch = set[best];
      set.erase(set.begin() + static_cast<std::ptrdiff_t>(best));
      for (const int other : set) {
        if (!same(patch, other) && key(patch) - key(other) < 1e-5 * key(patch)) near_tie_ = true;
      }
      ranked.push_back(patch);
      scores_.push_back(score_of[patch]);
    }
    return ranked;
  }

  ReferenceBag bag_;
  int m_, s_, l_;
  bool near_tie_ = false;
  std::vector<double> scores_;  // of the last ranking, best first
};

inline ReferenceResult reference(int rule, const ReferenceBag& bag, int m, int s, int l) {
  Reference reference(bag, m, s, l);
  return rule == 0 ? reference.upstream() : rule == 1 ? reference.joint() : reference.global();
}

}  // namespace dbps::selection

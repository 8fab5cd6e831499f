// Scores and the three rules by which a bag's patches are ranked (method.md 2).
//
// Patches are named here by their position in the bag's scan order. Plain loops over host memory: a
// step's logits are a few thousand numbers, fewer than one small tensor operation costs.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "selection/options.h"

namespace dbps::selection {

// What is known of one bag. `place` and `noise` cover the whole bag from the start; `logits` grows
// with the scan and keeps what each patch had when it was first seen.
struct ScannedBag {
  int64_t heads = 0;           // heads x tokens
  std::vector<double> logits;  // (patches seen, heads)
  std::vector<int64_t> place;  // in the grid
  std::vector<double> noise;   // t * Gumbel noise, added to log(score); empty: ranked by score
};

struct Ranked {
  int64_t position = 0;
  double score = 0.0;  // mean over heads of the softmax over the set ranked; without noise
  double key = 0.0;    // what it was ranked by: the score, or log(score) + noise
};

// A sum that carries its rounding errors along, so that neither the order of adding nor a cut into
// partial sums shows in value() (Knuth's two-sum).
struct ExactSum {
  double high = 0.0;
  double low = 0.0;
  void add(double x);
  void add(const ExactSum& other);
  double value() const { return high + low; }
};

// What the softmax over a set is made of, a head: the largest logit (minus infinity for no patch),
// and the sum of exp(logit - largest).
std::vector<double> largest_logits(const ScannedBag& bag, int64_t heads,
                                   const std::vector<int64_t>& set);
std::vector<ExactSum> sum_exponentials(const ScannedBag& bag, const std::vector<int64_t>& set,
                                       const std::vector<double>& largest);

// `set` by score (with noise: by log(score) + noise), best first; of equals the earlier in `set`.
// A score that is not a number comes last.
std::vector<Ranked> rank(const ScannedBag& bag, const std::vector<int64_t>& set);
// The same for a set that is part of a larger one, whose softmax it is.
std::vector<Ranked> rank(const ScannedBag& bag, const std::vector<int64_t>& set,
                         const std::vector<double>& largest, const std::vector<ExactSum>& sums);

// Of each position the score in one softmax over the whole bag.
std::vector<double> whole_bag_scores(const ScannedBag& bag);

// All positions of a bag in the order of the grid.
std::vector<int64_t> in_grid_order(const ScannedBag& bag);

// The M-buffer and the S-buffer of one bag. Both stand best first.
class Buffers {
 public:
  Buffers(int64_t capacity_salient, int64_t capacity_sub_salient)
      : capacity_salient_(capacity_salient), capacity_sub_salient_(capacity_sub_salient) {}
  virtual ~Buffers() = default;

  // The patches from position `first` to the last one seen are new.
  virtual void take_in(const ScannedBag& bag, int64_t first, int64_t seen) = 0;
  // Once, after the last step.
  virtual void close(const ScannedBag&) {}
  // Whether a patch that is in neither buffer may still come into one.
  virtual bool decides_at_close() const { return false; }

  const std::vector<Ranked>& salient() const { return salient_; }
  const std::vector<Ranked>& sub_salient() const { return sub_salient_; }

 protected:
  // The first M and the next S of `ranked`.
  void fill(const std::vector<Ranked>& ranked);

  int64_t capacity_salient_;
  int64_t capacity_sub_salient_;
  std::vector<Ranked> salient_;
  std::vector<Ranked> sub_salient_;
};

std::unique_ptr<Buffers> make_buffers(Ranking ranking, int64_t capacity_salient,
                                      int64_t capacity_sub_salient);

}  // namespace dbps::selection

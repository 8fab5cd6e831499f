// Bags whose embeddings are rows of a table: column 0 names the row, the others are its logits.
#pragma once

#include <ATen/ATen.h>

#include <random>
#include <vector>

#include "selection/selector.h"

namespace dbps::selection {

struct Table {
  at::Tensor rows_PD;
  Bags bags;
  mutable int embed_calls = 0;
  mutable std::vector<int64_t> embedded_a_call;

  // Logits in steps of 1/4 with whole rows repeated, so that ties are common. Places ascend with
  // gaps.
  Table(const std::vector<int>& sizes, int heads, std::mt19937& random) {
    bags.offsets = {0};
    std::vector<double> values;
    std::uniform_int_distribution<int> quarter(-12, 12);
    for (size_t b = 0; b < sizes.size(); ++b) {
      int64_t place = 0;
      for (int i = 0; i < sizes[b]; ++i) {
        place += 1 + static_cast<int64_t>(random() % 3);
        bags.place.push_back(place - 1);
        const bool repeat = i > 0 && random() % 4 == 0;
        const size_t from = values.size() - (1 + (repeat ? random() % i : 0)) * (heads + 1);
        values.push_back(static_cast<double>(bags.place.size() - 1));
        for (int h = 0; h < heads; ++h) {
          values.push_back(repeat ? values[from + 1 + h] : 0.25 * quarter(random));
        }
      }
      bags.offsets.push_back(static_cast<int64_t>(bags.place.size()));
      bags.sample.push_back(1000 + b);
    }
    rows_PD = at::tensor(values, at::kDouble).view({-1, heads + 1});
    bags.gather = [table = rows_PD](const std::vector<int64_t>& rows) {
      return table.index_select(0, at::tensor(rows, at::kLong));
    };
  }
  Table(const Table&) = delete;

  Scorer scorer() const {
    Scorer scorer;
    scorer.embed = [this](const at::Tensor& patches) {
      ++embed_calls;
      embedded_a_call.push_back(patches.size(0));
      return patches;
    };
    scorer.logits = [](const at::Tensor& embeddings, const at::Tensor&) {
      return embeddings.narrow(1, 1, embeddings.size(1) - 1);
    };
    return scorer;
  }

  std::vector<double> logits_of(int64_t row) const {
    const double* values = rows_PD.const_data_ptr<double>() + row * rows_PD.size(1);
    return {values + 1, values + rows_PD.size(1)};
  }
};

inline Request make_request(int64_t m, int64_t s, int64_t l) {
  Request request;
  request.salient = m;
  request.sub_salient = s;
  request.scan_patches = l;
  request.seed = 5;
  request.epoch = 2;
  return request;
}

inline std::unique_ptr<Selector> make(const std::string& method, Ranking ranking,
                                      Shuffle shuffle = Shuffle::kNone) {
  SelectionOptions options;
  options.method = method;
  options.ranking = ranking;
  options.shuffle = shuffle;
  return make_selector(options);
}

constexpr Ranking kRankings[] = {Ranking::kUpstream, Ranking::kJoint, Ranking::kGlobal};

}  // namespace dbps::selection

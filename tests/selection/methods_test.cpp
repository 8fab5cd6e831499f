#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "selection/table.h"

namespace dbps::selection {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Chi-square of counts against probabilities.
double chi_square(const std::vector<int>& counts, const std::vector<double>& probabilities) {
  int total = 0;
  for (const int count : counts) total += count;
  double sum = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = probabilities[i] * total;
    sum += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return sum;
}

TEST(Scan, EmbedsTheNextPatchesOfAllBagsInOneCallAStep) {
  std::mt19937 random(1);
  const Table table({2, 9, 4, 12}, 2, random);
  int between = 0;
  Request request = make_request(4, 3, 3);
  request.between_steps = [&] { ++between; };
  const Selection selection =
      make("dbps", Ranking::kUpstream)->select(table.bags, table.scorer(), request);
  EXPECT_THAT(table.embedded_a_call, ElementsAre(2 + 4 + 4 + 4, 3 + 3, 2 + 3, 2));
  EXPECT_EQ(between, 3);
  EXPECT_EQ(selection.patches_scanned, 27);
}

TEST(Scan, SubSalientEmbeddingsAreThoseOfTheirRows) {
  std::mt19937 random(2);
  for (const Ranking ranking : kRankings) {
    Table table({2, 30, 7, 61}, 4, random);
    table.rows_PD.requires_grad_(true);
    const Selection selection =
        make("dbps", ranking)->select(table.bags, table.scorer(), make_request(5, 11, 6));
    const model::Ragged& embeddings = selection.sub_salient_embeddings;
    ASSERT_THAT(embeddings.offsets, ElementsAre(0, 0, 11, 13, 24));
    EXPECT_FALSE(embeddings.values.requires_grad());
    for (size_t b = 0; b < 4; ++b) {
      std::set<int64_t> rows(selection.salient[b].rows.begin(), selection.salient[b].rows.end());
      for (int64_t i = 0; i < embeddings.size(b); ++i) {
        const int64_t row = selection.sub_salient[b].rows[i];
        EXPECT_TRUE(rows.insert(row).second) << "in both buffers, or twice";
        EXPECT_EQ(embeddings.values[embeddings.offsets[b] + i][0].item<double>(), row);
      }
    }
  }
}

TEST(Scan, WithoutSubSalientPatchesNoEmbeddingsComeBack) {
  std::mt19937 random(2);
  const Table table({3, 4}, 4, random);
  for (const Ranking ranking : kRankings) {
    for (const int64_t s : {0, 5}) {
      const Selection selection =
          make("dbps", ranking)->select(table.bags, table.scorer(), make_request(4, s, 6));
      EXPECT_FALSE(selection.sub_salient_embeddings.values.defined());
      EXPECT_THAT(selection.sub_salient_embeddings.offsets, ElementsAre(0, 0, 0));
      EXPECT_EQ(selection.salient[0].rows.size(), 3u);
    }
  }
}

TEST(Scan, TellsTheAttentionOfEveryPatch) {
  std::mt19937 random(8);
  const Table table({30, 2, 9}, 4, random);
  int64_t compared = 0;
  for (const Ranking ranking : kRankings) {
    Request request = make_request(3, 4, 5);
    EXPECT_TRUE(
        make("dbps", ranking)->select(table.bags, table.scorer(), request).attention.empty());
    request.attention = true;
    const Selection selection =
        make("dbps", ranking, Shuffle::kImage)->select(table.bags, table.scorer(), request);
    ASSERT_EQ(selection.attention.size(), 3u);
    for (size_t b = 0; b < 3; ++b) {
      const int64_t first = table.bags.offsets[b];
      const int64_t n = table.bags.offsets[b + 1] - first;
      const at::Tensor expected =
          table.rows_PD.narrow(0, first, n).narrow(1, 1, 4).softmax(0).mean(1);
      ASSERT_EQ(static_cast<int64_t>(selection.attention[b].size()), n);
      for (int64_t i = 0; i < n; ++i) {
        EXPECT_NEAR(selection.attention[b][i], expected[i].item<double>(), 1e-7) << b << ", " << i;
        ++compared;
      }
      if (ranking != Ranking::kGlobal) continue;
      const Selected& salient = selection.salient[b];
      for (size_t i = 0; i < salient.rows.size(); ++i) {
        EXPECT_EQ(salient.scores[i], selection.attention[b][salient.rows[i] - first]);
      }
    }
  }
  EXPECT_EQ(compared, 3 * 41);
}

TEST(Scan, StopsWhenToldBetweenSteps) {
  std::mt19937 random(3);
  const Table table({20, 20}, 2, random);
  Request request = make_request(4, 3, 4);
  const auto selector = make("dbps", Ranking::kUpstream, Shuffle::kImage);
  const Selection want = selector->select(table.bags, table.scorer(), request);
  int calls = 0;
  request.between_steps = [&] {
    if (++calls == 2) throw Stopped("told to");
  };
  table.embed_calls = 0;
  EXPECT_THROW(selector->select(table.bags, table.scorer(), request), Stopped);
  EXPECT_EQ(table.embed_calls, 2);
  request.between_steps = nullptr;
  const Selection again = selector->select(table.bags, table.scorer(), request);
  EXPECT_EQ(again.salient[1].rows, want.salient[1].rows);
  EXPECT_EQ(again.sub_salient[1].rows, want.sub_salient[1].rows);
}

TEST(Scan, ShuffleIsForTrainingOnly) {
  std::mt19937 random(4);
  const Table table({25, 25}, 2, random);
  std::vector<int64_t> seen;
  Bags bags = table.bags;
  bags.gather = [&](const std::vector<int64_t>& rows) {
    seen.insert(seen.end(), rows.begin(), rows.end());
    return table.bags.gather(rows);
  };
  const auto order = [&](Shuffle shuffle, bool training, int64_t epoch) {
    seen.clear();
    Request request = make_request(25, 0, 5);
    request.training = training;
    request.epoch = epoch;
    make("ips", Ranking::kUpstream, shuffle)->select(bags, table.scorer(), request);
    return seen;
  };
  const std::vector<int64_t> plain = order(Shuffle::kNone, true, 0);
  EXPECT_TRUE(std::is_sorted(plain.begin(), plain.end()));
  EXPECT_EQ(order(Shuffle::kImage, false, 0), plain);
  const std::vector<int64_t> image = order(Shuffle::kImage, true, 0);
  EXPECT_NE(image, plain);
  EXPECT_NE(image, order(Shuffle::kImage, true, 1));
  EXPECT_TRUE(std::is_permutation(image.begin(), image.end(), plain.begin()));
  bool same_in_both = true;
  for (int i = 0; i < 25; ++i) same_in_both &= image[i] + 25 == image[25 + i];
  EXPECT_FALSE(same_in_both);
  const std::vector<int64_t> batch = order(Shuffle::kBatch, true, 0);
  for (int i = 0; i < 25; ++i) EXPECT_EQ(batch[i] + 25, batch[25 + i]);
}

TEST(Scan, OnePermutationIsRefusedForUnequalBags) {
  std::mt19937 random(4);
  const Table table({25, 24}, 2, random);
  const auto selector = make("dbps", Ranking::kUpstream, Shuffle::kBatch);
  try {
    selector->select(table.bags, table.scorer(), make_request(4, 4, 4));
    FAIL() << "not refused";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("selection.shuffle"));
  }
  Request evaluation = make_request(4, 4, 4);
  evaluation.training = false;
  EXPECT_NO_THROW(selector->select(table.bags, table.scorer(), evaluation));
}

TEST(Scan, SurvivesLogitsThatAreNotNumbers) {
  std::mt19937 random(5);
  Table table({50}, 2, random);
  table.rows_PD.select(1, 1).fill_(std::numeric_limits<double>::quiet_NaN());
  for (const Ranking ranking : kRankings) {
    const Selection selection =
        make("dbps", ranking)->select(table.bags, table.scorer(), make_request(3, 4, 5));
    EXPECT_EQ(selection.salient[0].rows.size(), 3u);
    EXPECT_EQ(selection.sub_salient[0].rows.size(), 4u);
  }
}

// 6,000 bags of five patches with one and the same logits.
Selection explore(double temperature, std::vector<double>& scores) {
  constexpr int kBags = 6000;
  const at::Tensor logits = at::tensor({0.0, 1.0, -0.5, 0.3, 1.5}, at::kDouble);
  const at::Tensor probabilities = at::softmax(logits, 0);
  scores.assign(probabilities.data_ptr<double>(), probabilities.data_ptr<double>() + 5);
  Bags bags;
  bags.offsets = {0};
  for (int b = 0; b < kBags; ++b) {
    for (int i = 0; i < 5; ++i) bags.place.push_back(i);
    bags.sample.push_back(b);
    bags.offsets.push_back(5 * (b + 1));
  }
  bags.gather = [&](const std::vector<int64_t>& rows) {
    return logits.index_select(0, at::tensor(rows, at::kLong).remainder(5)).unsqueeze(1);
  };
  const Scorer scorer = {[](const at::Tensor& patches) { return patches; },
                         [](const at::Tensor& e, const at::Tensor&) { return e; }};
  Request request = make_request(2, 1, 2);
  request.exploration = temperature;
  return make("dbps", Ranking::kGlobal)->select(bags, scorer, request);
}

TEST(Exploration, DrawsWithoutReplacementByScore) {
  std::vector<double> p;
  const Selection selection = explore(1.0, p);
  std::vector<int> first(5, 0), pairs;
  std::vector<double> pair_probabilities;
  std::vector<std::vector<int>> counts(5, std::vector<int>(5, 0));
  for (const Selected& salient : selection.salient) {
    ++first[salient.rows[0] % 5];
    ++counts[salient.rows[0] % 5][salient.rows[1] % 5];
    EXPECT_FLOAT_EQ(salient.scores[0], static_cast<float>(p[salient.rows[0] % 5]));
  }
  for (int i = 0; i < 5; ++i) {
    for (int j = 0; j < 5; ++j) {
      if (i == j) continue;
      pairs.push_back(counts[i][j]);
      pair_probabilities.push_back(p[i] * p[j] / (1 - p[i]));
    }
  }
  EXPECT_LT(chi_square(first, p), 18.5);                   // 4 degrees of freedom, 0.1 %
  EXPECT_LT(chi_square(pairs, pair_probabilities), 43.8);  // 19 degrees of freedom, 0.1 %
  const std::vector<double> even(5, 0.2);
  EXPECT_GT(chi_square(first, even), 100.0);
}

TEST(Exploration, FadesIntoTheRanking) {
  std::vector<double> p;
  for (const Selected& salient : explore(1e-6, p).salient) {
    ASSERT_THAT(salient.rows[0] % 5, 4);
    ASSERT_THAT(salient.rows[1] % 5, 1);
  }
}

TEST(Exploration, NoiseBelongsToThePlaceNotToTheOrder) {
  std::mt19937 random(6);
  const Table table({40}, 3, random);
  Request request = make_request(6, 6, 5);
  request.exploration = 1.0;
  const Selection all = make("dbps", Ranking::kGlobal)->select(table.bags, table.scorer(), request);
  const Selection shuffled =
      make("dbps", Ranking::kGlobal, Shuffle::kImage)->select(table.bags, table.scorer(), request);
  EXPECT_EQ(all.salient[0].rows, shuffled.salient[0].rows);

  // Without the worst-ranked patches the chosen ones stay: noise does not move with the rows. With
  // one head the order of any set is that of the logits plus noise.
  const Table one_head({40}, 1, random);
  const Selection whole =
      make("dbps", Ranking::kGlobal)->select(one_head.bags, one_head.scorer(), request);
  std::vector<int64_t> kept = whole.salient[0].rows;
  kept.insert(kept.end(), whole.sub_salient[0].rows.begin(), whole.sub_salient[0].rows.end());
  std::sort(kept.begin(), kept.end());
  Bags dropped;
  dropped.offsets = {0, static_cast<int64_t>(kept.size())};
  dropped.sample = one_head.bags.sample;
  for (const int64_t row : kept) dropped.place.push_back(one_head.bags.place[row]);
  dropped.gather = [&](const std::vector<int64_t>& rows) {
    std::vector<int64_t> original;
    for (const int64_t row : rows) original.push_back(kept[row]);
    return one_head.bags.gather(original);
  };
  const Selection rest =
      make("dbps", Ranking::kGlobal)->select(dropped, one_head.scorer(), request);
  std::vector<int64_t> original;
  for (const int64_t row : rest.salient[0].rows) original.push_back(kept[row]);
  EXPECT_EQ(original, whole.salient[0].rows);
}

TEST(RandomMethod, DrawsEvenlyAndOnceWithoutAScan) {
  std::mt19937 random(7);
  const Table table(std::vector<int>(4000, 6), 1, random);
  const auto selector = make("random", Ranking::kUpstream);
  const Selection selection = selector->select(table.bags, table.scorer(), make_request(2, 0, 5));
  EXPECT_EQ(table.embed_calls, 0);
  EXPECT_EQ(selection.patches_scanned, 0);
  std::vector<int> counts(6, 0);
  for (size_t b = 0; b < 4000; ++b) {
    const Selected& salient = selection.salient[b];
    ASSERT_EQ(salient.rows.size(), 2u);
    ASSERT_LT(salient.rows[0], salient.rows[1]);
    EXPECT_FLOAT_EQ(salient.scores[0], 1.0f / 6);
    for (const int64_t row : salient.rows) ++counts[row - table.bags.offsets[b]];
  }
  EXPECT_LT(chi_square(counts, std::vector<double>(6, 1.0 / 6)), 20.5);  // 5 degrees, 0.1 %
}

TEST(RandomMethod, AnotherDrawEachEpochButOneForEvaluation) {
  std::mt19937 random(8);
  const Table table({90, 2}, 1, random);
  const auto selector = make("random", Ranking::kUpstream);
  const auto rows = [&](bool training, int64_t epoch) {
    Request request = make_request(12, 0, 5);
    request.training = training;
    request.epoch = epoch;
    const Selection selection = selector->select(table.bags, table.scorer(), request);
    EXPECT_THAT(selection.salient[1].rows, ElementsAre(90, 91));
    return selection.salient[0].rows;
  };
  EXPECT_NE(rows(true, 1), rows(true, 2));
  EXPECT_EQ(rows(false, 1), rows(false, 2));
}

TEST(AllMethod, EveryPatchIsSalient) {
  std::mt19937 random(9);
  const Table table({3, 2}, 1, random);
  const Selection selection =
      make("all", Ranking::kUpstream)->select(table.bags, table.scorer(), make_request(1, 0, 1));
  EXPECT_THAT(selection.salient[0].rows, ElementsAre(0, 1, 2));
  EXPECT_THAT(selection.salient[1].rows, ElementsAre(3, 4));
  EXPECT_THAT(selection.salient[1].scores, ElementsAre(0.5f, 0.5f));
  EXPECT_THAT(selection.sub_salient_embeddings.offsets, ElementsAre(0, 0, 0));
  EXPECT_EQ(table.embed_calls, 0);
}

TEST(WholeMethod, OnePatchABag) {
  std::mt19937 random(9);
  const Table whole({1, 1}, 1, random);
  const auto selector = make("whole", Ranking::kUpstream);
  const Selection selection = selector->select(whole.bags, whole.scorer(), make_request(1, 0, 1));
  EXPECT_THAT(selection.salient[1].rows, ElementsAre(1));
  const Table cut({1, 2}, 1, random);
  EXPECT_THROW(selector->select(cut.bags, cut.scorer(), make_request(1, 0, 1)), Error);
}

TEST(Registry, KnowsTheMethodsAndRefusesWhatTheyCannotDo) {
  EXPECT_THAT(selector_methods(), ElementsAre("dbps", "ips", "random", "all", "whole"));
  for (const std::string& method : selector_methods()) {
    SelectionOptions options;
    options.method = method;
    EXPECT_EQ(method_of(options).name, method);
    EXPECT_EQ(method_of(options).keeps_sub_salient, method == "dbps");
    EXPECT_EQ(method_of(options).scans, method == "dbps" || method == "ips");
    options.sub_salient = 3;
    if (method == "dbps") {
      EXPECT_NO_THROW(make_selector(options));
      continue;
    }
    try {
      make_selector(options);
      FAIL() << method << " took S = 3";
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("selection.sub_salient"));
      EXPECT_THAT(error.what(), HasSubstr(method));
    }
  }
  SelectionOptions unknown;
  unknown.method = "dpbs";
  EXPECT_THROW(make_selector(unknown), ConfigError);
}

}  // namespace
}  // namespace dbps::selection

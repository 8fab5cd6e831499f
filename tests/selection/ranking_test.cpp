#include <gtest/gtest.h>

#include <cstdio>

#include "base/random.h"
#include "selection/reference.h"
#include "selection/table.h"

namespace dbps::selection {
namespace {

struct Counts {
  int cases = 0;
  int near_ties = 0;
  int excused = 0;
};

std::vector<int64_t> scan_order(const Table& table, size_t b, const Request& request,
                                bool shuffled) {
  const int64_t first = table.bags.offsets[b];
  const int64_t n = table.bags.offsets[b + 1] - first;
  std::vector<int64_t> order(n);
  for (int64_t i = 0; i < n; ++i) order[i] = i;
  if (shuffled) {
    order = RandomStream(request.seed, Purpose::kShuffle, request.epoch, table.bags.sample[b])
                .permutation(n);
  }
  for (int64_t& row : order) row += first;
  return order;
}

ReferenceBag reference_bag(const Table& table, size_t b, const Request& request,
                           const std::vector<int64_t>& order) {
  RandomStream random(request.seed, Purpose::kExplore, request.epoch, table.bags.sample[b]);
  std::vector<double> noise_of_place(500);
  for (double& value : noise_of_place) value = request.exploration * random.gumbel();
  ReferenceBag bag;
  for (const int64_t row : order) {
    bag.logits.push_back(table.logits_of(row));
    bag.place.push_back(static_cast<int>(table.bags.place[row]));
    if (request.exploration > 0) bag.noise.push_back(noise_of_place[bag.place.back()]);
  }
  return bag;
}

std::vector<int64_t> rows_at(const std::vector<int>& positions, const std::vector<int64_t>& order) {
  std::vector<int64_t> rows;
  for (const int position : positions) rows.push_back(order[position]);
  return rows;
}

void compare(const Table& table, const Selection& got, const Request& request, int rule,
             bool shuffled, Counts& counts) {
  for (size_t b = 0; b < table.bags.sample.size(); ++b) {
    const std::vector<int64_t> order = scan_order(table, b, request, shuffled);
    const ReferenceResult want =
        reference(rule, reference_bag(table, b, request, order), request.salient,
                  request.sub_salient, request.scan_patches);
    ++counts.cases;
    counts.near_ties += want.near_tie;
    const bool equal = got.salient[b].rows == rows_at(want.salient, order) &&
                       got.sub_salient[b].rows == rows_at(want.sub_salient, order);
    if (!equal && want.near_tie) {
      ++counts.excused;
      continue;
    }
    ASSERT_EQ(got.salient[b].rows, rows_at(want.salient, order)) << "bag of " << order.size();
    ASSERT_EQ(got.sub_salient[b].rows, rows_at(want.sub_salient, order)) << "of " << order.size();
    for (size_t i = 0; i < want.salient.size(); ++i) {
      ASSERT_NEAR(got.salient[b].scores[i], want.salient_scores[i], 1e-6);
    }
  }
}

void compare_random_cases(const std::string& method, int batches, Counts& counts) {
  std::mt19937 random(17);
  for (int batch = 0; batch < batches; ++batch) {
    const int m = 1 + static_cast<int>(random() % 9);
    const int s = method == "ips" ? 0 : static_cast<int>(random() % 12);
    const int l = 1 + static_cast<int>(random() % 14);
    const int heads = 1 + static_cast<int>(random() % 16);
    const bool shuffled = random() % 2 == 0;
    std::vector<int> sizes = {m, std::max(1, m - 1), m + s, m + std::max(0, s - 1), m + 2 * l + 1};
    for (int extra = 0; extra < 3; ++extra) sizes.push_back(1 + static_cast<int>(random() % 60));
    const Table table(sizes, heads, random);
    Request request = make_request(m, s, l);
    request.exploration = random() % 4 == 0 ? 0.7 : 0.0;
    for (int rule = 0; rule < 3; ++rule) {
      const auto selector =
          make(method, kRankings[rule], shuffled ? Shuffle::kImage : Shuffle::kNone);
      compare(table, selector->select(table.bags, table.scorer(), request), request, rule, shuffled,
              counts);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Ranking, EqualsTheReferenceOnRandomCases) {
  Counts counts;
  compare_random_cases("dbps", 300, counts);
  compare_random_cases("ips", 60, counts);
  std::printf("%d cases, %d with a near-tie, %d excused\n", counts.cases, counts.near_ties,
              counts.excused);
  EXPECT_GE(counts.cases, 8000);
  EXPECT_LT(counts.excused, counts.cases / 100);
}

TEST(Ranking, TheReferenceItselfOnACaseDoneByHand) {
  // One head, M = 1, S = 1, L = 1; exponentials 1, 3, 2, 3.
  ReferenceBag bag;
  for (const double e : {1.0, 3.0, 2.0, 3.0}) bag.logits.push_back({std::log(e)});
  bag.place = {3, 2, 1, 0};
  EXPECT_EQ(reference(0, bag, 1, 1, 1).salient, std::vector<int>({1}));
  EXPECT_EQ(reference(0, bag, 1, 1, 1).sub_salient, std::vector<int>({3}));
  EXPECT_NEAR(reference(0, bag, 1, 1, 1).salient_scores[0], 0.5, 1e-12);
  EXPECT_NEAR(reference(1, bag, 1, 1, 1).salient_scores[0], 3.0 / 8, 1e-12);
  EXPECT_EQ(reference(2, bag, 1, 1, 1).salient, std::vector<int>({3}));
  EXPECT_NEAR(reference(2, bag, 1, 1, 1).salient_scores[0], 3.0 / 9, 1e-12);
}

TEST(Ranking, GlobalDependsNeitherOnTheStepNorOnTheShuffle) {
  std::mt19937 random(3);
  const Table table({37, 120, 4}, 8, random);
  const auto plain = make("dbps", Ranking::kGlobal);
  const auto shuffled = make("dbps", Ranking::kGlobal, Shuffle::kImage);
  const Selection want = plain->select(table.bags, table.scorer(), make_request(6, 9, 10));
  for (const int64_t l : {1, 7, 200}) {
    for (int64_t epoch = 0; epoch < 5; ++epoch) {
      Request request = make_request(6, 9, l);
      request.epoch = epoch;
      const Selection got = shuffled->select(table.bags, table.scorer(), request);
      for (size_t b = 0; b < 3; ++b) {
        EXPECT_EQ(got.salient[b].rows, want.salient[b].rows);
        EXPECT_EQ(got.salient[b].scores, want.salient[b].scores);
        EXPECT_EQ(got.sub_salient[b].rows, want.sub_salient[b].rows);
      }
      EXPECT_TRUE(at::equal(got.sub_salient_embeddings.values, want.sub_salient_embeddings.values));
    }
  }
}

TEST(Ranking, TheThreeRulesAgreeWithOneHead) {
  std::mt19937 random(4);
  Table table({3, 40, 90}, 1, random);
  table.rows_PD.select(1, 1).copy_(at::randperm(133).to(at::kDouble) / 20.0);  // no ties
  const Request request = make_request(5, 8, 6);
  const Selection upstream =
      make("dbps", Ranking::kUpstream)->select(table.bags, table.scorer(), request);
  for (const Ranking other : {Ranking::kJoint, Ranking::kGlobal}) {
    const Selection got = make("dbps", other)->select(table.bags, table.scorer(), request);
    for (size_t b = 0; b < 3; ++b) {
      EXPECT_EQ(got.salient[b].rows, upstream.salient[b].rows);
      EXPECT_EQ(got.sub_salient[b].rows, upstream.sub_salient[b].rows);
    }
  }
}

// A model in fp32 on small whole numbers: every product is exact, so that no rounding can depend on
// the other rows of a call, and equality may be asked for.
struct SmallModel {
  at::Tensor first = at::randint(-2, 3, {12, 16}, at::kFloat);
  at::Tensor second = at::randint(-2, 3, {16, 8}, at::kFloat) / 64.0;
  Scorer scorer() const {
    return {[this](const at::Tensor& patches) { return at::relu(at::matmul(patches, first)); },
            [this](const at::Tensor& e, const at::Tensor&) { return at::matmul(e, second); }};
  }
};

Bags feature_bags(const at::Tensor& features, std::vector<int64_t> offsets, uint64_t first_sample) {
  Bags bags;
  bags.offsets = std::move(offsets);
  for (size_t b = 0; b + 1 < bags.offsets.size(); ++b) {
    bags.sample.push_back(first_sample + b);
    for (int64_t i = bags.offsets[b]; i < bags.offsets[b + 1]; ++i) {
      bags.place.push_back(i - bags.offsets[b]);
    }
  }
  bags.gather = [features](const std::vector<int64_t>& rows) {
    return features.index_select(0, at::tensor(rows, at::kLong));
  };
  return bags;
}

TEST(Ranking, ABagSelectsTheSameWhateverIsBesideIt) {
  at::manual_seed(1);
  const SmallModel model;
  const at::Tensor features = at::randint(-3, 4, {943, 12}, at::kFloat);
  const std::vector<int64_t> offsets = {0, 3, 43, 943};
  const Bags together = feature_bags(features, offsets, 70);
  for (int rule = 0; rule < 3; ++rule) {
    const auto selector = make("dbps", kRankings[rule], Shuffle::kImage);
    Request request = make_request(12, 36, 32);
    request.exploration = 0.3;
    const Selection all = selector->select(together, model.scorer(), request);
    EXPECT_EQ(all.patches_scanned, 943);
    for (size_t b = 0; b < 3; ++b) {
      const int64_t n = offsets[b + 1] - offsets[b];
      const Bags bag = feature_bags(features.narrow(0, offsets[b], n), {0, n}, 70 + b);
      const Selection alone = selector->select(bag, model.scorer(), request);
      std::vector<int64_t> salient = alone.salient[0].rows;
      std::vector<int64_t> sub_salient = alone.sub_salient[0].rows;
      for (int64_t& row : salient) row += offsets[b];
      for (int64_t& row : sub_salient) row += offsets[b];
      EXPECT_EQ(salient.size(), std::min<size_t>(n, 12));
      EXPECT_EQ(sub_salient.size(), std::min<size_t>(n - salient.size(), 36));
      EXPECT_EQ(all.salient[b].rows, salient);
      EXPECT_EQ(all.sub_salient[b].rows, sub_salient);
      EXPECT_EQ(all.salient[b].scores, alone.salient[0].scores);
    }
  }
}

}  // namespace
}  // namespace dbps::selection

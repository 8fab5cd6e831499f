// A scan that several ranks share, as threads that exchange late: what they select is what one
// does.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "distributed/fake_collectives.h"
#include "selection/ranking.h"
#include "selection/table.h"

namespace dbps::selection {
namespace {

const std::vector<int> kSizes = {1, 2, 3, 40, 7, 160};

// Parts of unlike size, of which those of the first rank are often empty.
std::pair<int64_t, int64_t> part_of(int64_t n, int64_t rank, int64_t size) {
  const auto until = [&](int64_t r) { return r == size ? n : n * r * r / (size * size); };
  return {until(rank), until(rank + 1)};
}

// Runs `work(table, group)` on ranks of the same bags.
template <typename Work>
void on_ranks(int size, uint64_t seed, const Work& work) {
  distributed::FakeNetwork network(size, seed);
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < size; ++rank) {
    ranks.emplace_back([&, rank] {
      distributed::FakeCollectives group(network, rank);
      std::mt19937 random(static_cast<uint32_t>(seed));
      Table table(kSizes, 4, random);
      for (const int n : kSizes) table.bags.own.push_back(part_of(n, rank, size));
      work(table, group);
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

void expect_equal(const Selection& a, const Selection& b) {
  ASSERT_EQ(a.salient.size(), b.salient.size());
  for (size_t bag = 0; bag < a.salient.size(); ++bag) {
    EXPECT_EQ(a.salient[bag].rows, b.salient[bag].rows) << "bag " << bag;
    EXPECT_EQ(a.salient[bag].scores, b.salient[bag].scores) << "bag " << bag;
    EXPECT_EQ(a.sub_salient[bag].rows, b.sub_salient[bag].rows) << "bag " << bag;
    EXPECT_EQ(a.sub_salient[bag].scores, b.sub_salient[bag].scores) << "bag " << bag;
  }
  EXPECT_EQ(a.sub_salient_embeddings.offsets, b.sub_salient_embeddings.offsets);
  EXPECT_TRUE(at::equal(a.sub_salient_embeddings.values, b.sub_salient_embeddings.values));
  ASSERT_EQ(a.attention.size(), kSizes.size());
  EXPECT_EQ(a.attention, b.attention);
}

TEST(SharedScan, SelectsAsOneRankDoesTiesIncluded) {
  int64_t compared = 0;
  for (const auto& [m, s, l] :
       std::vector<std::array<int64_t, 3>>{{5, 11, 6}, {1, 3, 50}, {60, 200, 9}}) {
    for (const Shuffle shuffle : {Shuffle::kNone, Shuffle::kImage}) {
      for (const double exploration : {0.0, 0.7}) {
        for (const int size : {1, 2, 3, 5}) {
          const uint64_t seed = 10 + static_cast<uint64_t>(compared);
          Request request = make_request(m, s, l);
          request.exploration = exploration;
          request.attention = true;
          std::mt19937 random(static_cast<uint32_t>(seed));
          const Table table(kSizes, 4, random);
          const auto selector = make("dbps", Ranking::kGlobal, shuffle);
          const Selection one = selector->select(table.bags, table.scorer(), request);
          std::vector<Selection> shared(static_cast<size_t>(size));
          on_ranks(size, seed, [&](const Table& same, distributed::Collectives& group) {
            Request mine = request;
            mine.group = &group;
            shared[group.rank()] = selector->select(same.bags, same.scorer(), mine);
          });
          int64_t scanned = 0;
          for (const Selection& selection : shared) {
            expect_equal(selection, one);
            scanned += selection.patches_scanned;
          }
          EXPECT_EQ(scanned, one.patches_scanned);
          ++compared;
        }
      }
    }
  }
  EXPECT_EQ(compared, 48);
}

TEST(SharedScan, ARankThatIsToldToStopTakesItsGroupAlong) {
  std::vector<std::string> thrown(3);
  on_ranks(3, 4, [&](const Table& table, distributed::Collectives& group) {
    Request request = make_request(4, 3, 4);
    request.group = &group;
    std::string waits;
    request.waits = [&](bool waiting) { waits += waiting ? "w" : "g"; };
    request.between_steps = [&] {
      if (group.rank() == 1) throw Stopped("told to");
    };
    try {
      make("dbps", Ranking::kGlobal)->select(table.bags, table.scorer(), request);
    } catch (const Stopped&) {
      thrown[group.rank()] = "stopped " + waits;
    } catch (const Interrupted&) {
      thrown[group.rank()] = "interrupted " + waits;
    }
  });
  EXPECT_EQ(thrown, (std::vector<std::string>{"interrupted w", "stopped w", "interrupted w"}));
}

TEST(ExactSum, DoesNotDependOnOrderOrCuts) {
  std::vector<double> values;
  for (int i = 1; i <= 5000; ++i) values.push_back(1.0 / i);
  ExactSum forwards, backwards, pieces;
  double plain = 0, plain_backwards = 0;
  for (const double value : values) forwards.add(value), plain += value;
  std::reverse(values.begin(), values.end());
  for (const double value : values) backwards.add(value), plain_backwards += value;
  for (size_t first = 0; first < values.size(); first += 701) {
    ExactSum piece;
    for (size_t i = first; i < std::min(first + 701, values.size()); ++i) piece.add(values[i]);
    pieces.add(piece);
  }
  EXPECT_NE(plain, plain_backwards) << "the example is too easy";
  EXPECT_EQ(forwards.value(), backwards.value());
  EXPECT_EQ(forwards.value(), pieces.value());
}

}  // namespace
}  // namespace dbps::selection

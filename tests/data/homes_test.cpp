// Bags dealt to homes, and homes to those who read.
#include "data/homes.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/random.h"

namespace dbps::data {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

std::vector<int64_t> load_of(const std::vector<int64_t>& bytes, const std::vector<int64_t>& homes,
                             int64_t num_homes) {
  std::vector<int64_t> load(static_cast<size_t>(num_homes), 0);
  for (size_t i = 0; i < bytes.size(); ++i) load[homes.at(i)] += bytes[i];
  return load;
}

TEST(Homes, TheLargestThatAreLeftGoOneToEachHome) {
  // 90 and 50, then 40 to the one with 50 and 30 to the other, then 20 to the lighter by far.
  EXPECT_THAT(deal_homes({20, 90, 30, 50, 40}, 2), ElementsAre(1, 0, 0, 1, 1));
  EXPECT_THAT(deal_homes({5, 5, 5, 5}, 2), ElementsAre(0, 1, 0, 1));
  EXPECT_THAT(deal_homes({3, 1, 2}, 1), ElementsAre(0, 0, 0));
  EXPECT_THAT(deal_homes({7}, 3), ElementsAre(0));
}

// Slides of 1,000 to 100,000 tiles, log-uniform: as many in each home, and nearly as many bytes.
TEST(Homes, AreNearlyEqual) {
  RandomStream random(1, Purpose::kDemo);
  for (const int64_t homes : {2, 3, 8}) {
    std::vector<int64_t> bytes(399);
    for (int64_t& one : bytes) {
      one = std::llround(std::exp(random.uniform(std::log(1e3), std::log(1e5))));
    }
    const std::vector<int64_t> home_of = deal_homes(bytes, homes);
    const std::vector<int64_t> load = load_of(bytes, home_of, homes);
    const std::vector<int64_t> counts = load_of(std::vector<int64_t>(399, 1), home_of, homes);
    const auto [least, most] = std::minmax_element(load.begin(), load.end());
    EXPECT_LT(static_cast<double>(*most), 1.01 * static_cast<double>(*least)) << homes;
    const auto [fewest, many] = std::minmax_element(counts.begin(), counts.end());
    EXPECT_LE(*many - *fewest, 1) << homes;
  }
}

TEST(Homes, ReadersOfANodeShareWhatLiesOnIt) {
  EXPECT_THAT((ReaderPlace{1, 2, 0, 3}.at_place(8)), Pair(4, 8));
  std::set<int64_t> all;
  for (int64_t node = 0; node < 2; ++node) {
    for (int64_t reader = 0; reader < 3; ++reader) {
      const auto [first, last] = ReaderPlace{node, 2, reader, 3}.own(8);
      EXPECT_GE(first, 4 * node);
      EXPECT_LE(last, 4 * (node + 1));
      EXPECT_GE(last - first, 1);
      for (int64_t i = first; i < last; ++i) EXPECT_TRUE(all.insert(i).second);
    }
  }
  EXPECT_EQ(all.size(), 8u);
  // All on one node: as ranks without homes share their micro-batches.
  EXPECT_THAT((ReaderPlace{0, 1, 2, 3}.own(8)), Pair(5, 8));
}

}  // namespace
}  // namespace dbps::data

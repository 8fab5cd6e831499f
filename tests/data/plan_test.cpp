#include "data/plan.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <set>

#include "support/small_store.h"
#include "support/temp_folder.h"

namespace dbps::data {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Pictures 0 .. n-1; the first tenth is of class "rare". All are for training.
class Plan : public ::testing::Test {
 protected:
  static constexpr int kPictures = 40;

  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    NamedPictures pictures;
    std::string labels = "id,label\n";
    for (int i = 0; i < kPictures; ++i) {
      const std::string id = fmt::format("p{}", 100 + i);
      pictures.emplace_back(id, random_picture(2, 2, 1));
      labels += id + (i < kPictures / 10 ? ",rare\n" : ",common\n");
    }
    make_store(folder_->path() / "store", pictures);
    write_text(folder_->path() / "store" / "labels.csv", labels);
    dataset_ = with_homes(1).release();
  }
  static std::unique_ptr<Dataset> with_homes(int64_t homes) {
    DataOptions options;
    options.store = {(folder_->path() / "store").string()};
    options.fraction_validation = 0;
    options.stage_homes = homes;
    return std::make_unique<Dataset>(options,
                                     std::vector<TaskColumn>{{"label", "label", "multiclass", {}}});
  }
  static void TearDownTestSuite() {
    delete dataset_;
    delete folder_;
  }

  static std::vector<int64_t> first(int64_t n) {
    std::vector<int64_t> pictures(static_cast<size_t>(n));
    std::iota(pictures.begin(), pictures.end(), 0);
    return pictures;
  }
  static std::vector<int64_t> flat(const std::vector<StepPlan>& steps) {
    std::vector<int64_t> all;
    for (const StepPlan& step : steps) {
      for (const auto& share : step.micro_batches)
        all.insert(all.end(), share.begin(), share.end());
    }
    return all;
  }

  static TempFolder* folder_;
  static Dataset* dataset_;
};
TempFolder* Plan::folder_ = nullptr;
Dataset* Plan::dataset_ = nullptr;

TEST_F(Plan, EveryPictureOnceAnEpochInAnotherOrder) {
  const PlanOptions options{7, 16, 2};
  const auto pictures = first(kPictures);
  const std::vector<int64_t> patches(kPictures, 9);
  const auto epoch0 = flat(plan_epoch(*dataset_, pictures, patches, options, 0));
  const auto epoch1 = flat(plan_epoch(*dataset_, pictures, patches, options, 1));
  EXPECT_EQ(epoch0, flat(plan_epoch(*dataset_, pictures, patches, options, 0)));
  EXPECT_NE(epoch0, epoch1);
  EXPECT_NE(epoch0, pictures);
  EXPECT_EQ(std::set<int64_t>(epoch0.begin(), epoch0.end()).size(), 40u);
  EXPECT_EQ(epoch1.size(), 40u);
}

TEST_F(Plan, EqualBagsAreCutContiguouslyAndTheLastBatchSpread) {
  PlanOptions options{7, 16, 4};
  options.shuffle = false;
  const auto steps = plan_epoch(*dataset_, first(38), std::vector<int64_t>(38, 9), options, 0);
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_THAT(steps[0].micro_batches[1], ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(steps[2].micro_batches, ElementsAre(ElementsAre(32, 33), ElementsAre(34, 35),
                                                  ElementsAre(36), ElementsAre(37)));
  const auto small = plan_epoch(*dataset_, first(2), {9, 9}, options, 0);
  EXPECT_THAT(small[0].micro_batches,
              ElementsAre(ElementsAre(0), ElementsAre(1), IsEmpty(), IsEmpty()));
}

// The number of micro-batches cuts a batch; it does not choose what is in it.
TEST_F(Plan, MicroBatchesDoNotChangeTheBatch) {
  const std::vector<int64_t> patches(kPictures, 9);
  const auto whole = plan_epoch(*dataset_, first(kPictures), patches, {7, 16, 1}, 3);
  const auto cut = plan_epoch(*dataset_, first(kPictures), patches, {7, 16, 4}, 3);
  EXPECT_EQ(flat(whole), flat(cut));
}

TEST_F(Plan, UnevenBagsGoLargestFirstToTheLeastLoaded) {
  PlanOptions options{7, 6, 2};
  options.shuffle = false;
  const std::vector<int64_t> patches = {10, 80, 30, 50, 20, 10};
  const auto steps = plan_epoch(*dataset_, first(6), patches, options, 0);
  // 80 | 50; 30 to the second; 20 to the first by the tie; 10 and 10 to the second, then the first.
  EXPECT_THAT(steps[0].micro_batches, ElementsAre(ElementsAre(1, 4), ElementsAre(0, 2, 3, 5)));
}

TEST_F(Plan, UnevenSharesAreNearlyEqual) {
  RandomStream random(1, Purpose::kDemo);
  std::vector<int64_t> patches(kPictures);
  for (int64_t& n : patches) n = 3 + random.below(900);
  for (const StepPlan& step : plan_epoch(*dataset_, first(kPictures), patches, {7, 20, 4}, 0)) {
    std::vector<int64_t> loads;
    for (const auto& share : step.micro_batches) {
      int64_t load = 0;
      for (const int64_t picture : share) load += patches[picture];
      loads.push_back(load);
    }
    const auto [least, most] = std::minmax_element(loads.begin(), loads.end());
    EXPECT_LT(static_cast<double>(*most), 1.25 * static_cast<double>(*least));
  }
}

// Slides of 1,000 to 100,000 tiles, log-uniform, over 4 ranks. What remains at 8 and 4 slides is
// the largest slide, which no cut between slides divides: see distributed.patch_group.
TEST_F(Plan, SlidesOfAnySizeLeaveRanksLittleIdle) {
  constexpr int kRanks = 4;
  RandomStream random(2, Purpose::kDemo);
  const auto idle = [&](int64_t batch, int64_t shares) {
    double sum = 0;
    int64_t num_steps = 0;
    for (int64_t epoch = 0; epoch < 200; ++epoch) {
      std::vector<int64_t> patches(kPictures);
      for (int64_t& n : patches) {
        n = std::llround(std::exp(random.uniform(std::log(1000.0), std::log(100000.0))));
      }
      for (const StepPlan& step :
           plan_epoch(*dataset_, first(kPictures), patches, {7, batch, shares}, epoch)) {
        if (static_cast<int64_t>(flat({step}).size()) < batch) continue;
        std::vector<double> loads;
        for (const auto& share : step.micro_batches) {
          double load = 0;
          for (const int64_t picture : share) load += static_cast<double>(patches[picture]);
          loads.push_back(load);
        }
        const double most = *std::max_element(loads.begin(), loads.end());
        const double mean = std::accumulate(loads.begin(), loads.end(), 0.0) / kRanks;
        sum += (most - mean) / most;
        ++num_steps;
      }
    }
    EXPECT_GE(num_steps, 400);
    return sum / static_cast<double>(num_steps);
  };
  EXPECT_LT(idle(16, kRanks), 0.10);
  EXPECT_NEAR(idle(8, kRanks), 0.33, 0.03);
  EXPECT_NEAR(idle(4, kRanks), 0.54, 0.03);
}

TEST_F(Plan, BalancedSamplingDrawsClassesEqually) {
  PlanOptions options{7, 16, 1};
  options.sampling = Sampling::kBalanced;
  int rare = 0;
  for (int64_t epoch = 0; epoch < 50; ++epoch) {
    const auto drawn = flat(plan_epoch(*dataset_, first(kPictures),
                                       std::vector<int64_t>(kPictures, 9), options, epoch));
    ASSERT_EQ(drawn.size(), 40u);
    for (const int64_t picture : drawn) rare += picture < kPictures / 10 ? 1 : 0;
  }
  EXPECT_NEAR(rare, 1000, 5 * 22);  // 2000 draws, standard deviation 22
}

TEST_F(Plan, CountsHowOftenAPictureWasDrawnBefore) {
  PlanOptions options{7, 16, 3};
  const auto occurrences = [&](bool repeats) {
    std::map<int64_t, std::vector<int64_t>> of_picture;
    for (const StepPlan& step :
         plan_epoch(*dataset_, first(kPictures), std::vector<int64_t>(kPictures, 9), options, 1)) {
      EXPECT_EQ(step.occurrences.size(), step.micro_batches.size());
      for (size_t share = 0; share < step.micro_batches.size(); ++share) {
        EXPECT_EQ(step.occurrences[share].size(), step.micro_batches[share].size());
        for (size_t i = 0; i < step.micro_batches[share].size(); ++i) {
          of_picture[step.micro_batches[share][i]].push_back(step.occurrences[share][i]);
        }
      }
    }
    size_t most = 0;
    for (const auto& [picture, seen] : of_picture) {
      for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], static_cast<int64_t>(i));
      most = std::max(most, seen.size());
    }
    EXPECT_EQ(most > 1, repeats);
  };
  occurrences(false);
  options.sampling = Sampling::kBalanced;
  occurrences(true);
}

std::vector<int64_t> in_home(const Dataset& dataset, const std::vector<int64_t>& pictures,
                             int64_t home) {
  std::vector<int64_t> there;
  for (const int64_t picture : pictures) {
    if (dataset.pictures()[picture].home == home) there.push_back(picture);
  }
  return there;
}

TEST_F(Plan, EachStepTakesAsManyFromEachHomeAndAMicroBatchLiesInOne) {
  const std::unique_ptr<Dataset> dataset = with_homes(4);
  EXPECT_EQ(dataset->num_homes(), 4);
  RandomStream random(3, Purpose::kDemo);
  std::vector<int64_t> patches(kPictures);
  for (int64_t& n : patches) n = 3 + random.below(900);
  const PlanOptions options{7, 16, 8};
  const std::vector<StepPlan> steps = plan_epoch(*dataset, first(kPictures), patches, options, 1);
  ASSERT_EQ(steps.size(), 3u);  // 10 in a home, 4 of them a step
  for (size_t s = 0; s < steps.size(); ++s) {
    ASSERT_EQ(steps[s].micro_batches.size(), 8u);
    for (int64_t home = 0; home < 4; ++home) {
      const auto& one = steps[s].micro_batches[2 * home];
      const auto& two = steps[s].micro_batches[2 * home + 1];
      EXPECT_EQ(one.size() + two.size(), s < 2 ? 4u : 2u);
      EXPECT_EQ(in_home(*dataset, one, home), one);
      EXPECT_EQ(in_home(*dataset, two, home), two);
    }
  }
  const std::vector<int64_t> all = flat(steps);
  EXPECT_EQ(std::set<int64_t>(all.begin(), all.end()).size(), 40u);
  EXPECT_EQ(all.size(), 40u);
  EXPECT_NE(all, flat(plan_epoch(*dataset, first(kPictures), patches, options, 2)));
}

// As SlidesOfAnySizeLeaveRanksLittleIdle, a rank in each of 4 homes: 36 % idle if each home took
// its own order. Of 40 slides, those that meet are less alike than of 400.
TEST_F(Plan, SlidesOfLikeSizeComeFromAllHomesTogether) {
  const std::unique_ptr<Dataset> dataset = with_homes(4);
  RandomStream random(2, Purpose::kDemo);
  double idle = 0;
  int64_t num_steps = 0;
  for (int64_t epoch = 0; epoch < 100; ++epoch) {
    std::vector<int64_t> sizes(kPictures);
    for (int64_t& n : sizes) {
      n = std::llround(std::exp(random.uniform(std::log(1000.0), std::log(100000.0))));
    }
    // As sizes lie when the homes were dealt by them.
    const std::vector<int64_t> home_of = deal_homes(sizes, 4);
    std::vector<int64_t> patches(kPictures);
    for (int64_t home = 0; home < 4; ++home) {
      const std::vector<int64_t> there = in_home(*dataset, first(kPictures), home);
      auto next = there.begin();
      for (int64_t i = 0; i < kPictures; ++i) {
        if (home_of[i] == home) patches[*next++] = sizes[i];
      }
      ASSERT_EQ(next, there.end());
    }
    for (const StepPlan& step :
         plan_epoch(*dataset, first(kPictures), patches, {7, 16, 4}, epoch)) {
      if (flat({step}).size() < 16) continue;
      std::vector<double> loads;
      for (const auto& share : step.micro_batches) {
        loads.push_back(0);
        for (const int64_t picture : share) loads.back() += static_cast<double>(patches[picture]);
      }
      const double most = *std::max_element(loads.begin(), loads.end());
      idle += (most - std::accumulate(loads.begin(), loads.end(), 0.0) / 4) / most;
      ++num_steps;
    }
  }
  EXPECT_EQ(num_steps, 200);
  EXPECT_NEAR(idle / static_cast<double>(num_steps), 0.10, 0.03);
}

// Two pictures of one size meet in a batch by chance, not in every epoch.
TEST_F(Plan, PicturesOfOneSizeMeetAtRandomAcrossHomes) {
  const std::unique_ptr<Dataset> dataset = with_homes(2);
  const std::vector<int64_t> patches(kPictures, 9);
  std::map<int64_t, std::set<int64_t>> met;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    for (const StepPlan& step : plan_epoch(*dataset, first(kPictures), patches, {7, 2, 2}, epoch)) {
      met[step.micro_batches[0].at(0)].insert(step.micro_batches[1].at(0));
    }
  }
  ASSERT_EQ(met.size(), 20u);
  // 20 draws of 20: 12.8 different ones are expected.
  for (const auto& [picture, others] : met) EXPECT_GE(others.size(), 7u);
}

// 20 pictures in one home and 10 in the other.
TEST_F(Plan, AHomeWithFewerPicturesGivesSomeToEveryStep) {
  const std::unique_ptr<Dataset> dataset = with_homes(2);
  std::vector<int64_t> pictures = in_home(*dataset, first(kPictures), 0);
  ASSERT_EQ(pictures.size(), 20u);
  const std::vector<int64_t> few = in_home(*dataset, first(kPictures), 1);
  pictures.insert(pictures.end(), few.begin(), few.begin() + 10);
  const std::vector<int64_t> patches(pictures.size(), 9);
  EXPECT_EQ(steps_per_epoch(*dataset, pictures, 8), 5);
  PlanOptions options{7, 8, 2};
  for (const bool shuffle : {false, true}) {
    options.shuffle = shuffle;
    std::vector<size_t> taken;
    for (const StepPlan& step : plan_epoch(*dataset, pictures, patches, options, 0)) {
      EXPECT_EQ(step.micro_batches[0].size(), 4u);
      EXPECT_LE(step.micro_batches[1].size(), 4u);
      taken.push_back(step.micro_batches[1].size());
    }
    EXPECT_EQ(std::accumulate(taken.begin(), taken.end(), size_t{0}), 10u);
    if (!shuffle) {
      EXPECT_THAT(taken, ElementsAre(2, 2, 2, 2, 2));
    }
  }
}

TEST_F(Plan, BalancedSamplingDrawsEachHomesClassesEqually) {
  const std::unique_ptr<Dataset> dataset = with_homes(2);
  PlanOptions options{7, 16, 2};
  options.sampling = Sampling::kBalanced;
  int rare = 0;
  for (int64_t epoch = 0; epoch < 50; ++epoch) {
    for (const StepPlan& step : plan_epoch(*dataset, first(kPictures),
                                           std::vector<int64_t>(kPictures, 9), options, epoch)) {
      for (int64_t home = 0; home < 2; ++home) {
        const auto& drawn = step.micro_batches[home];
        EXPECT_EQ(in_home(*dataset, drawn, home), drawn);
        for (const int64_t picture : drawn) rare += picture < kPictures / 10 ? 1 : 0;
      }
    }
  }
  EXPECT_NEAR(rare, 1000, 5 * 22);  // 2000 draws, standard deviation 22
}

// Each reader of a node gets pictures of its node's homes, and all together the batches of one.
TEST_F(Plan, EvaluationStaysWithinTheHomesOfANode) {
  const std::unique_ptr<Dataset> dataset = with_homes(4);
  std::vector<std::vector<int64_t>> together;
  for (int64_t node = 0; node < 2; ++node) {
    for (int64_t reader = 0; reader < 2; ++reader) {
      for (auto& batch : plan_evaluation(*dataset, first(37), 2, {node, 2, reader, 2})) {
        const int64_t home = dataset->pictures()[batch.front()].home;
        EXPECT_EQ(home / 2, node);
        EXPECT_EQ(in_home(*dataset, batch, home), batch);
        together.push_back(batch);
      }
    }
  }
  EXPECT_EQ(together, plan_evaluation(*dataset, first(37), 2, {}));
  std::set<int64_t> seen;
  for (const auto& batch : together) seen.insert(batch.begin(), batch.end());
  EXPECT_EQ(seen.size(), 37u);
}

TEST_F(Plan, EvaluationSharesEveryPictureOnce) {
  const std::vector<int64_t> pictures = first(11);
  std::vector<int64_t> all;
  for (int rank = 0; rank < 4; ++rank) {
    for (const auto& batch : plan_evaluation(*dataset_, pictures, 2, {0, 1, rank, 4})) {
      EXPECT_LE(batch.size(), 2u);
      EXPECT_FALSE(batch.empty());
      all.insert(all.end(), batch.begin(), batch.end());
    }
  }
  EXPECT_EQ(all, pictures);
  // The batches of four ranks are those of one.
  const auto alone = plan_evaluation(*dataset_, pictures, 2, {0, 1, 0, 1});
  std::vector<std::vector<int64_t>> together;
  for (int rank = 0; rank < 4; ++rank) {
    for (auto& batch : plan_evaluation(*dataset_, pictures, 2, {0, 1, rank, 4}))
      together.push_back(batch);
  }
  EXPECT_EQ(together, alone);
  EXPECT_TRUE(plan_evaluation(*dataset_, {5}, 2, {0, 1, 0, 4}).empty());
}

}  // namespace
}  // namespace dbps::data

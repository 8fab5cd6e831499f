#include "distributed/reducer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "base/error.h"
#include "distributed/fake_collectives.h"
#include "distributed/toy_model.h"

namespace dbps::distributed {
namespace {

constexpr uint64_t kModelSeed = 11;
constexpr double kTinyBuckets = 0.0002;  // several buckets for the toy model

void run_ranks(int world_size, const std::function<void(int)>& work) {
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < world_size; ++rank) ranks.emplace_back(work, rank);
  for (std::thread& rank : ranks) rank.join();
}

void run_step(const ToyModel& model, GradientReducer& reducer,
              const std::vector<MicroBatch>& batches, const std::vector<at::Tensor>& extra = {}) {
  reducer.zero();
  for (size_t i = 0; i < batches.size(); ++i) {
    reducer.expect_last(i + 1 == batches.size());
    model.loss(batches[i].picture, batches[i].heads).backward();
  }
  reducer.finish(extra);
}

// A rank's share of a step, some without any, with heads that leave parameters unused.
std::vector<MicroBatch> random_share(std::mt19937_64& random) {
  std::vector<MicroBatch> share(random() % 4);
  for (MicroBatch& batch : share) {
    batch = {.picture = random() % 1000, .heads = 1 + static_cast<int>(random() % 3)};
  }
  return share;
}

TEST(Reducer, SumsWhatPlainAutogradGives) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    std::mt19937_64 random(seed);
    const int world_size = 1 + static_cast<int>(seed % 4);
    constexpr int kSteps = 3;
    std::vector<std::vector<std::vector<MicroBatch>>> shares(kSteps);  // by step and rank
    std::vector<std::vector<at::Tensor>> expected;
    for (auto& step : shares) {
      std::vector<MicroBatch> all;
      for (int rank = 0; rank < world_size; ++rank) {
        step.push_back(random_share(random));
        all.insert(all.end(), step.back().begin(), step.back().end());
      }
      expected.push_back(plain_gradients(kModelSeed, at::kDouble, all));
    }
    FakeNetwork network(world_size, seed);
    run_ranks(world_size, [&](int rank) {
      FakeCollectives collectives(network, rank);
      const ToyModel model(kModelSeed, at::kDouble);
      GradientReducer reducer(model.parameters, collectives, kTinyBuckets);
      for (size_t step = 0; step < shares.size(); ++step) {
        const at::Tensor ones = at::ones({2, 3}).t();
        const at::Tensor count = at::full({}, rank, at::kDouble);
        run_step(model, reducer, shares[step][static_cast<size_t>(rank)], {ones, count});
        for (size_t i = 0; i < expected[step].size(); ++i) {
          EXPECT_TRUE(at::allclose(model[i].grad(), expected[step][i], 1e-12, 1e-12))
              << "seed " << seed << ", step " << step << ", " << model.parameters[i].first;
        }
        EXPECT_TRUE(at::equal(ones, at::full({3, 2}, static_cast<float>(world_size))));
        EXPECT_EQ(count.item<double>(), world_size * (world_size - 1) / 2.0);
      }
    });
  }
}

TEST(Reducer, OneRankWithTwoEqualsTwoRanksBitForBit) {
  const MicroBatch first{.picture = 1, .heads = 3};
  const MicroBatch second{.picture = 2, .heads = 1};
  FakeNetwork alone(1, 0);
  FakeCollectives none(alone, 0);
  const ToyModel single(kModelSeed, at::kFloat);
  GradientReducer single_reducer(single.parameters, none, kTinyBuckets);
  run_step(single, single_reducer, {first, second});

  FakeNetwork network(2, 1);
  run_ranks(2, [&](int rank) {
    FakeCollectives collectives(network, rank);
    const ToyModel model(kModelSeed, at::kFloat);
    GradientReducer reducer(model.parameters, collectives, kTinyBuckets);
    run_step(model, reducer, {rank == 0 ? first : second});
    for (size_t i = 0; i < model.parameters.size(); ++i) {
      EXPECT_TRUE(at::equal(model[i].grad(), single[i].grad())) << model.parameters[i].first;
    }
  });
}

TEST(Reducer, StartsBucketsDuringTheLastBackwardOnly) {
  FakeNetwork network(1, 0);
  FakeCollectives collectives(network, 0);
  const ToyModel model(kModelSeed, at::kFloat);
  GradientReducer reducer(model.parameters, collectives, kTinyBuckets);
  const auto buckets = static_cast<size_t>(reducer.num_buckets());
  ASSERT_GT(buckets, 2U);

  reducer.zero();
  reducer.expect_last(false);
  model.loss(1, 3).backward();
  EXPECT_EQ(collectives.num_started(), 0U);
  reducer.expect_last(true);
  model.loss(2, 3).backward();
  EXPECT_EQ(collectives.num_started(), buckets);
  reducer.finish({});

  // The last parameter's bucket is the first: without its gradient nothing may overtake it.
  reducer.zero();
  reducer.expect_last(true);
  model.loss(3, 1).backward();
  EXPECT_EQ(collectives.num_started(), buckets);
  reducer.finish({});
  EXPECT_EQ(collectives.num_started(), 2 * buckets);
}

TEST(Reducer, LaysOutBucketsByKindAndSize) {
  FakeNetwork network(1, 0);
  FakeCollectives collectives(network, 0);
  std::vector<std::pair<std::string, at::Tensor>> parameters;
  const auto add = [&](int64_t kilobytes, at::ScalarType type) {
    const int64_t bytes = type == at::kDouble ? 8 : 4;
    parameters.emplace_back("p" + std::to_string(parameters.size()),
                            at::zeros({kilobytes * 1000 / bytes}, type).set_requires_grad(true));
  };
  for (int i = 0; i < 10; ++i) add(500, at::kFloat);
  EXPECT_EQ(GradientReducer(parameters, collectives, 0.1).num_buckets(), 10);
  EXPECT_EQ(GradientReducer(parameters, collectives, 2).num_buckets(), 3);   // 1, 2, 2 MB
  EXPECT_EQ(GradientReducer(parameters, collectives, 25).num_buckets(), 2);  // 1, 4 MB
  add(500, at::kDouble);
  const GradientReducer mixed(parameters, collectives, 25);
  EXPECT_EQ(mixed.num_buckets(), 2);
  EXPECT_EQ(mixed.bytes(), 5'500'000);
}

TEST(Reducer, KeepsAParametersStrides) {
  FakeNetwork network(1, 0);
  FakeCollectives collectives(network, 0);
  const ToyModel model(kModelSeed, at::kFloat);
  const GradientReducer reducer(model.parameters, collectives, 25);
  ASSERT_FALSE(model[0].is_contiguous());
  EXPECT_EQ(model[0].grad().strides(), model[0].strides());
}

TEST(Reducer, NoticesMisuse) {
  FakeNetwork network(1, 0);
  FakeCollectives collectives(network, 0);
  const ToyModel model(kModelSeed, at::kFloat);
  GradientReducer reducer(model.parameters, collectives, 25);
  reducer.expect_last(true);
  model.loss(1, 3).backward();
  EXPECT_THROW(model.loss(2, 3).backward(), Error);  // its bucket is under way
  EXPECT_THROW(reducer.zero(), Error);
  reducer.finish({});

  reducer.zero();
  model[1].mutable_grad() = at::zeros({6});
  EXPECT_THROW(model.loss(1, 3).backward(), Error);
  EXPECT_THROW(reducer.finish({}), Error);

  const at::Tensor frozen = at::zeros({3});
  EXPECT_THROW(GradientReducer({{"frozen", frozen}}, collectives, 25), Error);
}

TEST(Reducer, LeavesNoHooksBehind) {
  FakeNetwork network(1, 0);
  FakeCollectives collectives(network, 0);
  const ToyModel model(kModelSeed, at::kFloat);
  { const GradientReducer reducer(model.parameters, collectives, 25); }
  model.loss(1, 3).backward();
  EXPECT_EQ(collectives.num_started(), 0U);
}

}  // namespace
}  // namespace dbps::distributed

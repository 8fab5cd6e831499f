// Run under mpirun with the number of ranks as its argument; every rank runs every test.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "distributed/collectives.h"
#include "distributed/consistency.h"
#include "distributed/reducer.h"
#include "distributed/toy_model.h"
#include "distributed/world.h"
#include "support/rank_failures.h"

namespace dbps::distributed {
namespace {

World* world = nullptr;
int expected_size = 0;

DistributedOptions cpu_options() {
  DistributedOptions options;
  options.device = DeviceKind::kCpu;
  return options;
}

TEST(World, KnowsItsRanks) {
  ASSERT_EQ(world->world_size(), expected_size);
  EXPECT_EQ(world->local_size(), expected_size);
  EXPECT_EQ(world->local_rank(), world->rank());
  EXPECT_EQ(world->num_nodes(), 1);
  EXPECT_EQ(world->node(), 0);
  EXPECT_FALSE(world->host().empty());
}

TEST(World, ControlMessages) {
  const int rank = world->rank();
  const int last = expected_size - 1;
  const std::string long_text(300'000, 'x');
  EXPECT_EQ(world->broadcast(rank == last ? long_text : "ignored", last), long_text);
  EXPECT_EQ(world->broadcast("", 0), "");
  const std::vector<std::string> all =
      world->all_gather(std::string(static_cast<size_t>(rank), 'a' + static_cast<char>(rank)));
  ASSERT_EQ(all.size(), static_cast<size_t>(expected_size));
  for (int r = 0; r < expected_size; ++r) {
    EXPECT_EQ(all[static_cast<size_t>(r)],
              std::string(static_cast<size_t>(r), 'a' + static_cast<char>(r)));
  }
  EXPECT_EQ(world->max(rank == 1 ? 77 : -5), 77);
  const std::vector<double> sum = world->sum({1.0, static_cast<double>(rank)});
  EXPECT_EQ(sum, (std::vector<double>{1.0 * expected_size, expected_size * last / 2.0}));
}

TEST(World, SumsInRankOrder) {
  // 1e16 + 1 loses the 1, so another order would give another sum.
  const double mine = world->rank() == 0 ? 1e16 : world->rank() == expected_size - 1 ? -1e16 : 1.0;
  double expected = 0;
  for (int r = 0; r < expected_size; ++r) {
    expected += r == 0 ? 1e16 : r == expected_size - 1 ? -1e16 : 1.0;
  }
  EXPECT_EQ(world->sum({mine})[0], expected);
}

TEST(World, AllOrNone) {
  int runs = 0;
  all_or_none(*world, "open", [&] { ++runs; });
  EXPECT_EQ(runs, 1);
  try {
    all_or_none(*world, "open the store", [] {
      if (world->rank() == 1) throw DataError("shard-3.h5 is truncated");
    });
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    const std::string text = error.what();
    EXPECT_EQ(text, world->rank() == 1
                        ? "shard-3.h5 is truncated"
                        : "open the store failed on rank 1: shard-3.h5 is truncated");
  }
  EXPECT_EQ(world->max(1), 1);
}

TEST(Collectives, ReduceAndBroadcast) {
  const at::Device device = choose_device(*world, cpu_options());
  EXPECT_TRUE(device.is_cpu());
  const auto collectives = make_collectives(*world, cpu_options(), device);
  EXPECT_STREQ(collectives->name(), "mpi");
  const int64_t rank = world->rank();
  std::vector<at::Tensor> tensors;
  std::vector<std::unique_ptr<Work>> works;
  for (const auto type : {at::kFloat, at::kDouble, at::kLong}) {
    for (const int64_t size : {0, 1, 1000, 300'000}) {
      tensors.push_back(at::arange(size, at::TensorOptions().dtype(type)) % 100 + rank);
      works.push_back(collectives->all_reduce(tensors.back()));
    }
  }
  for (size_t i = works.size(); i-- > 0;) works[i]->wait();
  for (const at::Tensor& tensor : tensors) {
    const at::Tensor expected =
        (at::arange(tensor.numel(), tensor.options()) % 100) * expected_size +
        expected_size * (expected_size - 1) / 2;
    EXPECT_TRUE(at::equal(tensor, expected)) << tensor.scalar_type() << " " << tensor.numel();
  }
  at::Tensor sent = at::full({4, 5, 3, 3}, static_cast<double>(rank))
                        .contiguous(at::MemoryFormat::ChannelsLast)
                        .set_requires_grad(true);
  collectives->broadcast(sent, expected_size - 1);
  EXPECT_TRUE(at::equal(sent, at::full({4, 5, 3, 3}, expected_size - 1.0)));
  EXPECT_THROW(collectives->all_reduce(at::zeros({4}, at::kHalf)), Error);
}

// Control messages from the main thread while reductions fly in the communication thread.
TEST(Collectives, ControlMeanwhile) {
  const auto collectives = make_collectives(*world, cpu_options(), at::kCPU);
  for (int round = 0; round < 20; ++round) {
    const at::Tensor tensor = at::ones({200'000});
    const auto work = collectives->all_reduce(tensor);
    EXPECT_EQ(world->max(world->rank()), expected_size - 1);
    work->wait();
    EXPECT_EQ(tensor.sum().item<double>(), 200'000.0 * expected_size);
  }
}

TEST(Collectives, NcclIsRefusedWithoutGpus) {
  DistributedOptions options = cpu_options();
  options.backend = Backend::kNccl;
  EXPECT_THROW(make_collectives(*world, options, at::kCPU), ConfigError);
}

// Ten pictures over the ranks in turn: with 4 ranks the last round leaves two of them empty.
TEST(Reducer, UnevenAndEmptyShares) {
  const auto collectives = make_collectives(*world, cpu_options(), at::kCPU);
  ToyModel model(3, at::kDouble);
  GradientReducer reducer(model.parameters, *collectives, 0.0005);
  EXPECT_GT(reducer.num_buckets(), 2);
  for (const size_t count : {size_t{10}, size_t{1}, size_t{5}}) {
    std::vector<MicroBatch> all;
    std::vector<MicroBatch> mine;
    for (size_t i = 0; i < count; ++i) {
      all.push_back({.picture = i, .heads = 1 + static_cast<int>(i % 3)});
      if (static_cast<int>(i) % expected_size == world->rank()) mine.push_back(all.back());
    }
    reducer.zero();
    for (size_t i = 0; i < mine.size(); ++i) {
      reducer.expect_last(i + 1 == mine.size());
      model.loss(mine[i].picture, mine[i].heads).backward();
    }
    const at::Tensor pictures = at::full({1}, static_cast<double>(mine.size()), at::kDouble);
    const at::Tensor ranks = at::ones({2, 2}, at::kLong);
    reducer.finish({pictures, ranks});
    EXPECT_EQ(pictures.item<double>(), static_cast<double>(count));
    EXPECT_TRUE(at::equal(ranks, at::full({2, 2}, expected_size, at::kLong)));
    const std::vector<at::Tensor> expected = plain_gradients(3, at::kDouble, all);
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_TRUE(at::allclose(model[i].grad(), expected[i], 1e-12, 1e-12))
          << model.parameters[i].first;
    }
  }
}

// Small whole numbers and their sums are exact in 8 bits; thirds are not.
TEST(Reducer, CompressedGradientsAreRoundedSums) {
  const auto collectives = make_collectives(*world, cpu_options(), at::kCPU);
  const at::Tensor weight = at::zeros({300}, at::kFloat).set_requires_grad(true);
  GradientReducer reducer({{"weight", weight}}, *collectives, 25, Compress::kBf16);
  EXPECT_EQ(reducer.bytes(), 600);
  for (const double scale : {1.0, 1.0 / 3}) {
    const at::Tensor slope = (at::arange(300, at::kFloat) % 16 + world->rank()) * scale;
    reducer.zero();
    reducer.expect_last(true);
    (weight * slope).sum().backward();
    const at::Tensor exact_beside = at::full({1}, 1.0 / 3, at::kFloat);
    reducer.finish({exact_beside});
    const double ranks = expected_size;
    const at::Tensor expected =
        ((at::arange(300, at::kFloat) % 16) * ranks + ranks * (ranks - 1) / 2) * scale;
    const double worst = (weight.grad() - expected).abs().div(expected + 1e-6).max().item<double>();
    if (scale == 1.0) {
      EXPECT_EQ(worst, 0);
    } else {
      EXPECT_LT(worst, 0.02);
      EXPECT_GT(worst, 1e-4) << "the gradients were not compressed";
    }
    EXPECT_NEAR(exact_beside.item<double>(), ranks / 3, 1e-6);
  }
}

// Groups of two ranks in a row, beside the sums over all.
TEST(PatchGroups, SumAndGatherAmongThemselves) {
  DistributedOptions options = cpu_options();
  options.patch_group = 2;
  const PatchGroup place = patch_group_of(*world, options);
  EXPECT_EQ(place.num_groups, expected_size / 2);
  EXPECT_EQ(place.group, world->rank() / 2);
  const auto all = make_collectives(*world, options, at::kCPU);
  const auto group = make_group_collectives(*world, options, at::kCPU);
  EXPECT_EQ(all->size(), expected_size);
  EXPECT_EQ(all->rank(), world->rank());
  ASSERT_EQ(group->size(), 2);
  EXPECT_EQ(group->rank(), world->rank() % 2);
  EXPECT_EQ(place.leads(), group->rank() == 0);

  // One over all is under way meanwhile.
  at::Tensor everyone = at::full({100'000}, 1, at::kLong);
  const auto work = all->all_reduce(everyone);
  const at::Tensor own = at::full({3}, world->rank(), at::kDouble);
  const double first = world->rank() / 2 * 2;
  EXPECT_TRUE(at::equal(sum(*group, own), at::full({3}, 2 * first + 1, at::kDouble)));
  const at::Tensor gathered = gather(*group, own);
  EXPECT_TRUE(at::equal(gathered[0], at::full({3}, first, at::kDouble)));
  EXPECT_TRUE(at::equal(gathered[1], at::full({3}, first + 1, at::kDouble)));
  EXPECT_EQ(own[0].item<double>(), world->rank()) << "what was gathered has changed";
  work->wait();
  EXPECT_EQ(everyone[99'999].item<int64_t>(), expected_size);

  options.patch_group = 3;
  EXPECT_THROW(patch_group_of(*world, options), ConfigError);
  options.patch_group = 1;
  EXPECT_EQ(make_group_collectives(*world, options, at::kCPU)->size(), 1);
}

TEST(Consistency, FindsOneFlippedBit) {
  at::Tensor first = at::arange(1000, at::kFloat);
  at::Tensor second = at::ones({3, 4});
  equal_on_all_ranks(*world, {{"first", first}, {"second", second}});
  if (world->rank() == 1) {
    reinterpret_cast<unsigned char*>(second.data_ptr())[17] ^= 1;
  }
  try {
    equal_on_all_ranks(*world, {{"first", first}, {"second", second}});
    FAIL() << "the flipped bit was not found";
  } catch (const RuntimeFault& fault) {
    EXPECT_NE(std::string(fault.what()).find("'second' of rank 1 differs"), std::string::npos)
        << fault.what();
  }
}

}  // namespace
}  // namespace dbps::distributed

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const auto world = dbps::distributed::make_world();
  dbps::distributed::world = world.get();
  dbps::distributed::expected_size = argc == 2 ? std::atoi(argv[1]) : -1;
  dbps::print_failures_alone(world->rank());
  return static_cast<int>(world->max(RUN_ALL_TESTS()));
}

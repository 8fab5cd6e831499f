#include "distributed/world.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <map>
#include <string>
#include <thread>

#include "base/error.h"
#include "distributed/collectives.h"
#include "distributed/consistency.h"
#include "distributed/launch.h"
#include "distributed/signals.h"
#include "distributed/watchdog.h"

namespace dbps::distributed {
namespace {

Launch launch_in(const std::map<std::string, std::string>& environment) {
  return read_launch([&](const char* name) {
    const auto it = environment.find(name);
    return it == environment.end() ? nullptr : it->second.c_str();
  });
}

std::string refusal(const Launch& launch) {
  try {
    check_launch(launch, 1);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

TEST(Launch, WithoutALauncherThereIsNoMpi) {
  const Launch launch = launch_in({{"HOME", "/root"}});
  EXPECT_FALSE(launch.by_mpi);
  EXPECT_EQ(refusal(launch), "");
}

TEST(Launch, ABatchScriptIsOneProcess) {
  const Launch launch = launch_in({{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}});
  EXPECT_FALSE(launch.by_mpi);
  EXPECT_EQ(refusal(launch), "");
}

TEST(Launch, ASlurmStepWithoutPmixIsRefused) {
  const Launch launch = launch_in({{"SLURM_STEP_ID", "0"},
                                   {"SLURM_PROCID", "1"},
                                   {"SLURM_NTASKS", "8"},
                                   {"SLURM_STEP_NUM_TASKS", "4"}});
  EXPECT_FALSE(launch.by_mpi);
  EXPECT_NE(refusal(launch).find("srun --mpi=pmix -n 4"), std::string::npos) << refusal(launch);
  EXPECT_NO_THROW(check_launch(launch, 4));
}

TEST(Launch, AnotherMpisMpirunIsRefused) {
  const Launch launch = launch_in({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}});
  EXPECT_TRUE(launch.by_mpi);
  EXPECT_NE(refusal(launch).find("./launcher/mpirun -n 2"), std::string::npos) << refusal(launch);
}

TEST(Launch, MpirunKnowsBetterThanTheSlurmStepAroundIt) {
  const Launch launch = launch_in({{"OMPI_COMM_WORLD_SIZE", "1"},
                                   {"SLURM_STEP_ID", "0"},
                                   {"SLURM_PROCID", "0"},
                                   {"SLURM_STEP_NUM_TASKS", "2"}});
  EXPECT_TRUE(launch.by_mpi);
  EXPECT_EQ(refusal(launch), "");
}

TEST(World, OfOne) {
  const auto world = make_world();
  EXPECT_EQ(world->rank(), 0);
  EXPECT_EQ(world->world_size(), 1);
  EXPECT_EQ(world->local_rank(), 0);
  EXPECT_EQ(world->local_size(), 1);
  EXPECT_EQ(world->node(), 0);
  EXPECT_EQ(world->num_nodes(), 1);
  world->barrier();
  EXPECT_EQ(world->broadcast("text", 0), "text");
  EXPECT_EQ(world->all_gather("text"), std::vector<std::string>{"text"});
  EXPECT_EQ(world->max(-3), -3);
  EXPECT_EQ(world->sum({1.5, 2}), (std::vector<double>{1.5, 2}));
  EXPECT_NO_THROW(equal_on_all_ranks(*world, {{"weight", at::ones({3})}}));
  EXPECT_EXIT(world->abort(70), testing::ExitedWithCode(70), "");
}

TEST(World, AllOrNoneThrowsItsOwnError) {
  const auto world = make_world();
  EXPECT_THROW(all_or_none(*world, "work", [] { throw DataError("bad"); }), DataError);
  EXPECT_THROW(all_or_none(*world, "work", [] { throw std::out_of_range("far"); }),
               std::out_of_range);
}

TEST(Collectives, OfOneDoNothing) {
  const auto world = make_world();
  DistributedOptions options;
  options.device = DeviceKind::kCpu;
  const auto collectives = make_collectives(*world, options, choose_device(*world, options));
  EXPECT_STREQ(collectives->name(), "none");
  const at::Tensor tensor = at::ones({3});
  collectives->all_reduce(tensor)->wait();
  collectives->broadcast(tensor, 0);
  EXPECT_TRUE(at::equal(tensor, at::ones({3})));
}

TEST(Signals, AreRemembered) {
  const auto raised = [](int signal) {
    install_stop_signals();
    raise(signal);
    _exit(stop_signal() == signal ? 0 : 1);
  };
  EXPECT_EXIT(raised(SIGUSR1), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(raised(SIGTERM), testing::ExitedWithCode(0), "");
  EXPECT_EQ(stop_signal(), 0);
}

// A world of three whose other ranks say what the test tells them to, again and again.
class Scripted final : public Heartbeats {
 public:
  explicit Scripted(std::vector<Heartbeat> others) : others_(std::move(others)) {}
  void send(const Heartbeat&) override {}
  std::vector<Heartbeat> receive() override { return others_; }
  int world_size() const override { return 3; }

 private:
  std::vector<Heartbeat> others_;
};

void wait_for_others(std::vector<Heartbeat> others, std::chrono::milliseconds time) {
  Watchdog watchdog(0.2, 0, "node-7", std::make_unique<Scripted>(std::move(others)));
  watchdog.wait("reduce");
  std::this_thread::sleep_for(time);
}

constexpr std::chrono::milliseconds kLong{5000};

TEST(Watchdog, NamesWhatHangs) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto hang = [] {
    Watchdog watchdog(0.2, 3, "node-7", nullptr);
    watchdog.phase("scan");
    std::this_thread::sleep_for(std::chrono::seconds(5));
  };
  EXPECT_EXIT(hang(), testing::ExitedWithCode(124),
              "rank 3 on node-7 made no progress for 0.. s in phase 'scan'");
}

TEST(Watchdog, NamesTheRankWaitedFor) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      wait_for_others({{1, "node-8", "reduce", 9, true}, {2, "node-9", "read", 3, false}}, kLong),
      testing::ExitedWithCode(124),
      "rank 0 on node-7 waits in phase 'reduce' for rank 2 on node-9 .'read', no progress "
      "for 3.. s");
  EXPECT_EXIT(wait_for_others({{1, "node-8", "reduce", 0, true}}, kLong),
              testing::ExitedWithCode(124), "for rank 2 on an unknown host .'not heard of yet'");
  EXPECT_EXIT(
      wait_for_others({{1, "node-8", "save", 9, true}, {2, "node-9", "gather", 9, true}}, kLong),
      testing::ExitedWithCode(124), "so do all others .waiting: rank 1 in 'save', rank 2");
}

TEST(Watchdog, WaitsWhileOthersGoOn) {
  wait_for_others({{1, "node-8", "reduce", 9, true}, {2, "node-9", "scan", 0, false}},
                  std::chrono::milliseconds(700));
}

TEST(Watchdog, LetsProgressGoOn) {
  Watchdog watchdog(0.3, 0, "here", nullptr);
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    watchdog.progress();
  }
  EXPECT_THROW(Watchdog(0, 0, "here", nullptr), Error);
}

}  // namespace
}  // namespace dbps::distributed

// What the scripts here start under mpirun: ranks that leave early, hang or are asked to stop.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <thread>

#include "base/error.h"
#include "distributed/signals.h"
#include "distributed/watchdog.h"
#include "distributed/world.h"

namespace dbps::distributed {
namespace {

// Until a signal reaches any rank; then all leave together.
int work_until_stopped(World& world) {
  if (world.rank() == 0) {
    fmt::print("ready\n");
    std::fflush(stdout);
  }
  while (world.max(stop_signal()) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  world.barrier();
  return static_cast<int>(ExitCode::kStopped);
}

int run(const std::string& what) {
  install_stop_signals();
  const auto world = make_world();
  if (what == "where") {
    fmt::print("rank {} of {} is {} of {} on {}, node {} of {}\n", world->rank(),
               world->world_size(), world->local_rank(), world->local_size(), world->host(),
               world->node(), world->num_nodes());
    return 0;
  }
  if (world->world_size() != 2) return 1;
  const bool second = world->rank() == 1;
  if (what == "stop") return work_until_stopped(*world);
  if (what == "exit" && second) _exit(3);
  if (what == "kill" && second) raise(SIGKILL);
  if (what == "abort" && second) world->abort(65);
  if (what == "hang" || what == "freeze" || what == "slow") {
    Watchdog watchdog(1.0, *world);
    if (second) {
      watchdog.phase("scan");
      if (what == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
      if (what == "freeze") {
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
        raise(SIGSTOP);
      }
      for (int i = 0; i < 30; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        watchdog.progress();
      }
    }
    watchdog.wait("reduce");
    world->barrier();
  }
  if (what == "deaf") {
    fmt::print("ready\n");
    std::fflush(stdout);
    for (;;) pause();
  }
  if (what == "throw" && second) throw DataError("shard-3.h5 is truncated");
  world->barrier();
  return 0;
}

}  // namespace
}  // namespace dbps::distributed

int main(int argc, char** argv) {
  try {
    return dbps::distributed::run(argc > 1 ? argv[1] : "");
  } catch (const dbps::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
}

#include "distributed/watchdog.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace dbps::distributed {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// A deadline may be longer than a clock can count.
constexpr Seconds kLongestSleep{3600};

struct Watchdog::State {
  State(double deadline_seconds, int of_rank, std::string on_host)
      : deadline(deadline_seconds), rank(of_rank), host(std::move(on_host)) {}

  const Seconds deadline;
  const int rank;
  const std::string host;
  std::atomic<const char*> phase{"starting"};
  std::atomic<Clock::rep> last_progress{Clock::now().time_since_epoch().count()};

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;  // guarded by mutex
  std::thread thread;

  void mark() { last_progress = Clock::now().time_since_epoch().count(); }

  void watch() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      const Clock::time_point last{Clock::duration(last_progress.load())};
      const Seconds silent = Clock::now() - last;
      if (silent >= deadline) {
        log::error(
            "rank {} on {} made no progress for {:.1f} s in phase '{}'; ending it "
            "(distributed.deadline_seconds = {})",
            rank, host, silent.count(), phase.load(), deadline.count());
        _exit(static_cast<int>(ExitCode::kNoProgress));
      }
      changed.wait_for(lock, std::min<Seconds>(deadline - silent, kLongestSleep));
    }
  }
};

Watchdog::Watchdog(double deadline_seconds, int rank, std::string host, const char** told)
    : state_(std::make_unique<State>(deadline_seconds, rank, std::move(host))), told_(told) {
  DBPS_CHECK(deadline_seconds > 0, "a watchdog needs a deadline above 0 s");
  state_->thread = std::thread([state = state_.get()] { state->watch(); });
}

Watchdog::~Watchdog() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

void Watchdog::phase(const char* name) {
  if (told_ != nullptr) *told_ = name;
  state_->phase = name;
  state_->mark();
}

void Watchdog::progress() { state_->mark(); }

}  // namespace dbps::distributed

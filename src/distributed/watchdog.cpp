#include "distributed/watchdog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace dbps::distributed {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr Seconds kShortestBeat{0.02};
constexpr Seconds kLongestBeat{5};

double seconds_since(Clock::time_point then) { return Seconds(Clock::now() - then).count(); }

// Another rank, as its last heartbeat told.
struct Peer {
  Heartbeat last;
  Clock::time_point heard = Clock::now();

  double unheard_seconds() const { return seconds_since(heard); }
  double silent_seconds() const { return last.silent_seconds + unheard_seconds(); }
  // How long it has held up those who wait for it: one that waits itself holds up nobody, unless
  // nothing is heard of it.
  double holding_up_seconds() const { return last.waiting ? unheard_seconds() : silent_seconds(); }
  std::string text() const {
    return fmt::format("rank {} on {} ('{}', no progress for {:.1f} s)", last.rank, last.host,
                       last.phase, silent_seconds());
  }
};

}  // namespace

struct Watchdog::State {
  const Seconds deadline;
  const int rank;
  const std::string host;
  // The watchdog's thread alone:
  std::unique_ptr<Heartbeats> heartbeats;
  std::vector<Peer> peers;

  std::atomic<const char*> phase{"starting"};
  std::atomic<bool> waiting{false};
  std::atomic<Clock::rep> last_progress{Clock::now().time_since_epoch().count()};

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;  // guarded by mutex
  std::thread thread;

  State(double deadline_seconds, int of_rank, std::string on_host,
        std::unique_ptr<Heartbeats> to_others)
      : deadline(deadline_seconds),
        rank(of_rank),
        host(std::move(on_host)),
        heartbeats(std::move(to_others)) {
    const int size = heartbeats ? heartbeats->world_size() : 1;
    for (int r = 0; r < size; ++r) {
      if (r != rank) peers.push_back({{r, "an unknown host", "not heard of yet"}});
    }
  }

  void mark() { last_progress = Clock::now().time_since_epoch().count(); }
  double silent_seconds() const {
    return seconds_since(Clock::time_point(Clock::duration(last_progress.load())));
  }
  Seconds beat() const { return std::clamp(deadline / 10, kShortestBeat, kLongestBeat); }

  void watch() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      lock.unlock();
      try {
        exchange();
      } catch (const std::exception& error) {
        log::warning("rank {} cannot tell its progress any more: {}", rank, error.what());
        heartbeats.reset();
      }
      judge();
      lock.lock();
      if (!stopping) changed.wait_for(lock, beat());
    }
  }

  void exchange() {
    if (!heartbeats) return;
    heartbeats->send({rank, host, phase.load(), silent_seconds(), waiting});
    for (Heartbeat& heartbeat : heartbeats->receive()) {
      for (Peer& peer : peers) {
        if (peer.last.rank == heartbeat.rank) peer = {std::move(heartbeat), Clock::now()};
      }
    }
  }

  void judge() const {
    const double silent = silent_seconds();
    if (silent < deadline.count()) return;
    if (!waiting) {
      end(fmt::format("rank {} on {} made no progress for {:.1f} s in phase '{}'{}", rank, host,
                      silent, phase.load(), who_waits()));
    }
    // One that hangs is given the time to name itself first.
    const double patience = deadline.count() + 3 * beat().count();
    const auto held_up_by =
        std::max_element(peers.begin(), peers.end(), [](const Peer& a, const Peer& b) {
          return a.holding_up_seconds() < b.holding_up_seconds();
        });
    if (held_up_by != peers.end() && held_up_by->holding_up_seconds() >= patience) {
      end(fmt::format("rank {} on {} waits in phase '{}' for {}", rank, host, phase.load(),
                      held_up_by->text()));
    }
    const bool all_wait = std::all_of(peers.begin(), peers.end(), [&](const Peer& peer) {
      return peer.last.waiting && peer.silent_seconds() >= patience;
    });
    if (all_wait && silent >= patience) {
      end(fmt::format("rank {} on {} waits in phase '{}' for {:.1f} s, and so do all others{}",
                      rank, host, phase.load(), silent, who_waits()));
    }
  }

  std::string who_waits() const {
    std::vector<std::string> names;
    for (const Peer& peer : peers) {
      if (peer.last.waiting) {
        names.push_back(fmt::format("rank {} in '{}'", peer.last.rank, peer.last.phase));
      }
    }
    return names.empty() ? "" : fmt::format(" (waiting: {})", fmt::join(names, ", "));
  }

  [[noreturn]] void end(const std::string& what) const {
    log::error("{}; ending it (distributed.deadline_seconds = {})", what, deadline.count());
    _exit(static_cast<int>(ExitCode::kNoProgress));
  }
};

Watchdog::Watchdog(double deadline_seconds, int rank, std::string host,
                   std::unique_ptr<Heartbeats> heartbeats, const char** told)
    : state_(
          std::make_unique<State>(deadline_seconds, rank, std::move(host), std::move(heartbeats))),
      told_(told) {
  DBPS_CHECK(deadline_seconds > 0, "a watchdog needs a deadline above 0 s");
  state_->thread = std::thread([state = state_.get()] { state->watch(); });
}

Watchdog::Watchdog(double deadline_seconds, World& world, const char** told)
    : Watchdog(deadline_seconds, world.rank(), world.host(), world.make_heartbeats(), told) {}

Watchdog::~Watchdog() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

void Watchdog::phase(const char* name) { enter(name, false); }

void Watchdog::wait(const char* name) { enter(name, true); }

void Watchdog::enter(const char* name, bool waiting) {
  if (told_ != nullptr) *told_ = name;
  state_->phase = name;
  state_->waiting = waiting;
  state_->mark();
}

void Watchdog::progress() { state_->mark(); }

}  // namespace dbps::distributed

// How a signal ends a piece of work (runtime.md, Signals).
#pragma once

#include <functional>

#include "distributed/collectives.h"
#include "distributed/signals.h"
#include "distributed/watchdog.h"

namespace dbps::training {

// Thrown between two pieces of a step or an evaluation when a signal has come; caught where the
// ranks next meet, which then all learn of it.
struct StopRequested {};

// While a batch is waited for; progress is what its readers make.
inline void stop_or_wait_on(distributed::Watchdog& watchdog, bool went_on) {
  if (went_on) watchdog.progress();
  if (distributed::stop_signal() != 0) throw StopRequested();
}

inline void stop_or_go_on(distributed::Watchdog& watchdog) { stop_or_wait_on(watchdog, true); }

// Does `work`, which is not collective; when it throws StopRequested on one rank of the group, all
// throw it. Null: this rank alone. Collective over the group.
void stop_together(distributed::Collectives* group, const std::function<void()>& work);

}  // namespace dbps::training

// Ends a process that makes no progress, or that waits for one that makes none, naming which rank
// does what.
#pragma once

#include <memory>
#include <string>

#include "distributed/heartbeats.h"
#include "distributed/world.h"

namespace dbps::distributed {

// A thread of its own. The main thread tells it the phase it is in and that it goes on. A rank that
// works and tells nothing for `deadline_seconds` is logged with host, rank, phase and for how long,
// and its process ends with 124. A rank that waits may wait for ever while the others go on, as
// their heartbeats tell; when the one waited for has made no progress for the deadline, or is not
// heard of any more, the waiting rank names it and ends its own process with 124.
class Watchdog {
 public:
  // `told`, when given, always points to the present phase's name: what main says of a failure.
  // Without heartbeats a rank is alone.
  Watchdog(double deadline_seconds, int rank, std::string host,
           std::unique_ptr<Heartbeats> heartbeats, const char** told = nullptr);
  Watchdog(double deadline_seconds, World& world, const char** told = nullptr);
  ~Watchdog();
  void phase(const char* name);  // a string literal; counts as progress
  void wait(const char* name);   // the same, for a phase in which this rank waits for others
  void progress();

 private:
  struct State;
  void enter(const char* name, bool waiting);

  std::unique_ptr<State> state_;
  const char** told_;
};

}  // namespace dbps::distributed

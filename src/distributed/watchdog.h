// Ends a process that makes no progress, naming what it was doing.
#pragma once

#include <memory>
#include <string>

namespace dbps::distributed {

// A thread of its own. The main thread tells it the phase it is in and that it goes on; when
// nothing was told for `deadline_seconds`, it logs host, rank, phase and for how long, and ends the
// process with 124.
class Watchdog {
 public:
  // `told`, when given, always points to the present phase's name: what main says of a failure.
  Watchdog(double deadline_seconds, int rank, std::string host, const char** told = nullptr);
  ~Watchdog();
  void phase(const char* name);  // a string literal; counts as progress
  void progress();

 private:
  struct State;
  std::unique_ptr<State> state_;
  const char** told_;
};

}  // namespace dbps::distributed

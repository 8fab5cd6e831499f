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
  Watchdog(double deadline_seconds, int rank, std::string host);
  ~Watchdog();
  void phase(const char* name);  // a string literal; counts as progress
  void progress();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::distributed

// What the ranks tell each other of their progress, from their watchdogs' threads.
#pragma once

#include <string>
#include <vector>

namespace dbps::distributed {

struct Heartbeat {
  int rank = 0;
  std::string host;
  std::string phase;
  double silent_seconds = 0;  // since its last progress, when this was sent
  bool waiting = false;       // for other ranks
};

// One a process. No call blocks or is collective, so that a rank that hangs holds up nobody's
// watchdog. Used by one thread.
class Heartbeats {
 public:
  virtual ~Heartbeats() = default;
  virtual void send(const Heartbeat& mine) = 0;  // to all other ranks
  virtual std::vector<Heartbeat> receive() = 0;  // what has come since the last call
  virtual int world_size() const = 0;
};

}  // namespace dbps::distributed

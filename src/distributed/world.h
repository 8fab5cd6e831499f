// The ranks of a run and what they tell each other outside the gradients: small, rare messages on
// the host. Collective functions say so: every rank calls them, in the same order, from its main
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "distributed/heartbeats.h"

namespace dbps::distributed {

// Destroying it waits for all ranks. While an exception unwinds it does not, and the process has to
// end with a code other than 0 soon: better, main calls abort().
class World {
 public:
  virtual ~World() = default;
  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  virtual int local_rank() const = 0;  // among the ranks of this host
  virtual int local_size() const = 0;
  virtual int node() const = 0;  // this host among the hosts, in the order of their first ranks
  virtual int num_nodes() const = 0;
  virtual const std::string& host() const = 0;

  virtual void barrier() = 0;                                                 // collective
  virtual std::string broadcast(const std::string& bytes, int root) = 0;      // collective
  virtual std::vector<std::string> all_gather(const std::string& bytes) = 0;  // collective, by rank
  virtual int64_t max(int64_t value) = 0;                                     // collective
  // Collective; adds in rank order.
  virtual std::vector<double> sum(const std::vector<double>& values) = 0;

  // For this rank's watchdog; null in a world of one. At most one at a time; goes before the world.
  virtual std::unique_ptr<Heartbeats> make_heartbeats() { return nullptr; }

  // Ends every rank with `code`; for a failure that others do not know of. Never returns.
  [[noreturn]] virtual void abort(int code) = 0;
};

// MPI when a launcher started this process, else a world of one that never touches MPI. Throws
// RuntimeFault when the MPI gives fewer threads than needed, ConfigError (with the line to type)
// for a world of one where Slurm or PMI says there are more.
std::unique_ptr<World> make_world();

// Runs `work` on every rank; when any of them throws, all throw: the failing rank its own error,
// the others Error with the same exit code, naming the rank and its message. `work` itself must not
// be collective. Collective.
void all_or_none(World& world, const std::string& what, const std::function<void()>& work);

}  // namespace dbps::distributed

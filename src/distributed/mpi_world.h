// The ranks of an MPI job. Private to the room.
#pragma once

#include <mpi.h>

#include <string>
#include <vector>

#include "distributed/world.h"

// Every MPI call: what MPI says becomes a RuntimeFault.
#define DBPS_MPI(call) ::dbps::distributed::check_mpi((call), #call)

namespace dbps::distributed {

void check_mpi(int status, const char* call);

// Messages above MPI's counts (int) go in pieces of this many elements.
inline constexpr int64_t kMostElements = int64_t{1} << 30;

// Owns MPI: from MPI_Init_thread to MPI_Finalize. Destroying it waits for all ranks, unless an
// exception is unwinding: then MPI is left as it is, for the launcher to end the others.
class MpiWorld final : public World {
 public:
  MpiWorld();
  ~MpiWorld() override;
  MpiWorld(const MpiWorld&) = delete;
  MpiWorld& operator=(const MpiWorld&) = delete;

  int rank() const override { return rank_; }
  int world_size() const override { return world_size_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }
  int node() const override { return node_; }
  int num_nodes() const override { return num_nodes_; }
  const std::string& host() const override { return host_; }

  void barrier() override;
  std::string broadcast(const std::string& bytes, int root) override;
  std::vector<std::string> all_gather(const std::string& bytes) override;
  int64_t max(int64_t value) override;
  std::vector<double> sum(const std::vector<double>& values) override;
  std::unique_ptr<Heartbeats> make_heartbeats() override;
  [[noreturn]] void abort(int code) override;

  // A communicator of the ranks that give this color, in their order; the caller frees it.
  // Collective.
  MPI_Comm split(int color);

 private:
  MPI_Comm control_ = MPI_COMM_NULL;
  MPI_Comm heartbeats_ = MPI_COMM_NULL;
  int rank_ = 0;
  int world_size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
  int node_ = 0;
  int num_nodes_ = 1;
  int exceptions_at_start_ = 0;
  std::string host_;
};

}  // namespace dbps::distributed

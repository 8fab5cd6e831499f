// Sums over MPI, in host memory. Private to the room.
#pragma once

#include <memory>

#include "distributed/collectives.h"
#include "distributed/mpi_world.h"

namespace dbps::distributed {

// One communication thread owns every MPI call made here: Open MPI hardly moves a non-blocking
// reduction unless someone polls it. Tensors of a GPU go through pinned host memory.
class MpiCollectives final : public Collectives {
 public:
  // Over groups of `size` ranks in a row. Collective over all of `world`.
  MpiCollectives(MpiWorld& world, int size);
  ~MpiCollectives() override;

  int rank() const override;
  int size() const override;
  std::unique_ptr<Work> all_reduce(at::Tensor tensor) override;
  void broadcast(at::Tensor tensor, int root) override;
  const char* name() const override { return "mpi"; }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::distributed

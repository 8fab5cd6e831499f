// Sums over ranks of tensors on the training's device. Two real backends behind it: MPI and NCCL.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "distributed/options.h"
#include "distributed/world.h"

namespace dbps::distributed {

// A reduction under way. wait() returns once the tensor holds the sum and may be read on the
// calling thread's stream; it throws RuntimeFault when the reduction failed. Destroying it without
// wait() is allowed only when the process is ending.
class Work {
 public:
  virtual ~Work() = default;
  virtual void wait() = 0;
};

class Collectives {
 public:
  virtual ~Collectives() = default;
  // Starts summing a contiguous fp32, fp64, bf16 or int64 tensor in place over all ranks.
  // Collective: every rank starts the same reductions in the same order. Threading: one thread at a
  // time.
  virtual std::unique_ptr<Work> all_reduce(at::Tensor tensor) = 0;
  // Copies root's tensor, of any type and strides that are the same on all ranks, to all, in place.
  // Collective.
  virtual void broadcast(at::Tensor tensor, int root) = 0;
  virtual const char* name() const = 0;  // "mpi", "nccl", "none"
};

// The device of this rank by its local rank, made the current one; `auto` is a GPU when every rank
// sees one. Collective. Throws ConfigError when there are more ranks than GPUs on a host and
// share_device is off.
at::Device choose_device(World& world, const DistributedOptions& options);

// `auto`: NCCL when every rank has a GPU of its own and this build has NCCL, else MPI; a world of
// one gets one that does nothing. Collective. Borrows `world`.
std::unique_ptr<Collectives> make_collectives(World& world, const DistributedOptions& options,
                                              at::Device device);

}  // namespace dbps::distributed

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
  // Of this process among those that reduce together.
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Starts summing a contiguous fp32, fp64, bf16 or int64 tensor in place over all ranks.
  // Collective: every rank starts the same reductions in the same order. Threading: one thread at a
  // time.
  virtual std::unique_ptr<Work> all_reduce(at::Tensor tensor) = 0;
  // Copies root's tensor, of any type and strides that are the same on all ranks, to all, in place.
  // Collective.
  virtual void broadcast(at::Tensor tensor, int root) = 0;
  // Where a tensor must lie to be reduced: where it is, or this rank's GPU.
  virtual at::Device device_for(const at::Tensor& tensor) const;
  virtual const char* name() const = 0;  // "mpi", "nccl", "none"
};

// The sum over all ranks, as a new tensor on the device of `tensor`. Without gradient. Collective.
at::Tensor sum(Collectives& collectives, const at::Tensor& tensor);
// Whether it is so on any rank. Collective.
bool any(Collectives& collectives, bool here);
// The tensors of all ranks, of one shape, (size, ...) in the order of ranks. Likewise.
at::Tensor gather(Collectives& collectives, const at::Tensor& own);

// The device of this rank by its local rank, made the current one; `auto` is a GPU when every rank
// sees one. Collective. Throws ConfigError when there are more ranks than GPUs on a host and
// share_device is off.
at::Device choose_device(World& world, const DistributedOptions& options);

// `auto`: NCCL when every rank has a GPU of its own and this build has NCCL, else MPI; a world of
// one gets one that does nothing. Collective. Borrows `world`.
std::unique_ptr<Collectives> make_collectives(World& world, const DistributedOptions& options,
                                              at::Device device);

// Where a rank stands: the world is data groups x patch groups. The `size` ranks of a patch group
// stand in a row; together they are one data group, which hosts micro-batches.
struct PatchGroup {
  int size = 1;
  int member = 0;  // of this rank in its group
  int group = 0;   // its group
  int num_groups = 1;
  bool leads() const { return member == 0; }
};
// Throws ConfigError naming distributed.patch_group when it does not divide the ranks.
PatchGroup patch_group_of(const World& world, const DistributedOptions& options);

// Over the ranks of this rank's patch group, by the same backend; one that does nothing for groups
// of one. Collective over all of `world`, which it borrows.
std::unique_ptr<Collectives> make_group_collectives(World& world, const DistributedOptions& options,
                                                    at::Device device);

}  // namespace dbps::distributed

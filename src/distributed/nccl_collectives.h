// Sums over NCCL, in GPU memory. Private to the room; compiled where LibTorch brings NCCL.
#pragma once

#include <memory>

#include "distributed/collectives.h"

namespace dbps::distributed {

// Owns a communicator and a stream of its own, so that reductions overlap with backward.
class NcclCollectives final : public Collectives {
 public:
  // Over groups of `size` ranks in a row. Collective over all of `world`, which carries NCCL's ids.
  // `deadline_seconds` bounds each wait.
  NcclCollectives(World& world, int size, at::Device device, double deadline_seconds);
  ~NcclCollectives() override;

  int rank() const override;
  int size() const override;
  at::Device device_for(const at::Tensor& tensor) const override;
  std::unique_ptr<Work> all_reduce(at::Tensor tensor) override;
  void broadcast(at::Tensor tensor, int root) override;
  const char* name() const override { return "nccl"; }

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace dbps::distributed

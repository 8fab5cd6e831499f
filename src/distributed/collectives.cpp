#include "distributed/collectives.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "distributed/devices.h"
#include "distributed/mpi_collectives.h"

#ifdef DBPS_NCCL
#include "distributed/nccl_collectives.h"
#endif

namespace dbps::distributed {

namespace {

// A world of one: every sum is already there.
class NoCollectives final : public Collectives {
 public:
  std::unique_ptr<Work> all_reduce(at::Tensor) override { return std::make_unique<Done>(); }
  void broadcast(at::Tensor, int) override {}
  const char* name() const override { return "none"; }

 private:
  class Done final : public Work {
   public:
    void wait() override {}
  };
};

#ifdef DBPS_NCCL
constexpr bool kHasNccl = true;
#else
constexpr bool kHasNccl = false;
#endif

// Why NCCL cannot serve these ranks, or empty. The same answer on every rank. Collective.
std::string why_not_nccl(World& world, at::Device device) {
  if (!kHasNccl) return "this build has no NCCL";
  if (world.max(device.is_cuda() ? 0 : 1) == 1) return "not every rank has a GPU";
  const int other = rank_sharing_gpu(world, gpu_identity(device.index()));
  if (world.max(other >= 0 ? 1 : 0) == 1) return "ranks share a GPU";
  return {};
}

}  // namespace

std::unique_ptr<Collectives> make_collectives(World& world, const DistributedOptions& options,
                                              at::Device device) {
  if (world.world_size() == 1) return std::make_unique<NoCollectives>();
  if (options.backend != Backend::kMpi) {
    const std::string reason = why_not_nccl(world, device);
    if (options.backend == Backend::kNccl && !reason.empty()) {
      throw ConfigError(
          fmt::format("distributed.backend = \"nccl\", but {}; take \"auto\" or \"mpi\"", reason));
    }
#ifdef DBPS_NCCL
    if (reason.empty()) {
      return std::make_unique<NcclCollectives>(world, device, options.deadline_seconds);
    }
#endif
  }
  auto* mpi = dynamic_cast<MpiWorld*>(&world);
  DBPS_CHECK(mpi != nullptr, "several ranks without MPI");
  return std::make_unique<MpiCollectives>(*mpi);
}

}  // namespace dbps::distributed

#include "distributed/collectives.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <vector>

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
  int rank() const override { return 0; }
  int size() const override { return 1; }
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

// Whether NCCL serves these ranks. Throws ConfigError when it was asked for and cannot. Collective.
bool takes_nccl(World& world, const DistributedOptions& options, at::Device device) {
  if (options.backend == Backend::kMpi) return false;
  const std::string reason = why_not_nccl(world, device);
  if (options.backend == Backend::kNccl && !reason.empty()) {
    throw ConfigError(
        fmt::format("distributed.backend = \"nccl\", but {}; take \"auto\" or \"mpi\"", reason));
  }
  return reason.empty();
}

// Over groups of `size` ranks in a row.
std::unique_ptr<Collectives> make_over_groups(World& world, int size,
                                              const DistributedOptions& options,
                                              at::Device device) {
  if (size == 1) return std::make_unique<NoCollectives>();
#ifdef DBPS_NCCL
  if (takes_nccl(world, options, device)) {
    return std::make_unique<NcclCollectives>(world, size, device, options.deadline_seconds);
  }
#else
  takes_nccl(world, options, device);
#endif
  auto* mpi = dynamic_cast<MpiWorld*>(&world);
  DBPS_CHECK(mpi != nullptr, "several ranks without MPI");
  return std::make_unique<MpiCollectives>(*mpi, size);
}

}  // namespace

at::Device Collectives::device_for(const at::Tensor& tensor) const { return tensor.device(); }

at::Tensor sum(Collectives& collectives, const at::Tensor& tensor) {
  at::Tensor total =
      at::empty(tensor.sizes(), tensor.options().device(collectives.device_for(tensor)));
  total.copy_(tensor.detach());
  collectives.all_reduce(total)->wait();
  return total.to(tensor.device());
}

bool any(Collectives& collectives, bool here) {
  return sum(collectives, at::full({1}, here ? 1 : 0, at::kLong)).item<int64_t>() > 0;
}

// By a sum with zeros, which is exact: the numbers gathered are few.
at::Tensor gather(Collectives& collectives, const at::Tensor& own) {
  std::vector<int64_t> shape = own.sizes().vec();
  shape.insert(shape.begin(), collectives.size());
  at::Tensor all = at::zeros(shape, own.options());
  all[collectives.rank()].copy_(own.detach());
  return sum(collectives, all);
}

std::unique_ptr<Collectives> make_collectives(World& world, const DistributedOptions& options,
                                              at::Device device) {
  return make_over_groups(world, world.world_size(), options, device);
}

PatchGroup patch_group_of(const World& world, const DistributedOptions& options) {
  PatchGroup place;
  place.size = static_cast<int>(options.patch_group);
  if (world.world_size() % place.size != 0) {
    throw ConfigError(fmt::format(
        "distributed.patch_group = {} does not divide the {} ranks: start a multiple of it, or set "
        "it to a divisor",
        place.size, world.world_size()));
  }
  place.member = world.rank() % place.size;
  place.group = world.rank() / place.size;
  place.num_groups = world.world_size() / place.size;
  return place;
}

std::unique_ptr<Collectives> make_group_collectives(World& world, const DistributedOptions& options,
                                                    at::Device device) {
  return make_over_groups(world, patch_group_of(world, options).size, options, device);
}

}  // namespace dbps::distributed

#include "distributed/devices.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#ifdef DBPS_CUDA
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>
#endif

#include <algorithm>

#include "base/error.h"
#include "distributed/collectives.h"

namespace dbps::distributed {

#ifdef DBPS_CUDA
int64_t gpu_count() { return c10::cuda::device_count(); }

std::string gpu_identity(int64_t index) {
  cudaDeviceProp properties{};
  const cudaError_t status = cudaGetDeviceProperties(&properties, static_cast<int>(index));
  if (status != cudaSuccess) {
    throw RuntimeFault(
        fmt::format("GPU {} does not answer: {}", index, cudaGetErrorString(status)));
  }
  return std::string(properties.uuid.bytes, sizeof(properties.uuid.bytes));
}
#else
int64_t gpu_count() { return 0; }

std::string gpu_identity(int64_t) { return {}; }
#endif

int rank_sharing_gpu(World& world, const std::string& identity) {
  const std::string here = identity.empty() ? "" : world.host() + '/' + identity;
  const std::vector<std::string> all = world.all_gather(here);
  for (int rank = 0; rank < world.world_size(); ++rank) {
    if (rank != world.rank() && !here.empty() && all[static_cast<size_t>(rank)] == here) {
      return rank;
    }
  }
  return -1;
}

at::Device choose_device(World& world, const DistributedOptions& options) {
  const int64_t visible = options.device == DeviceKind::kCpu ? 0 : gpu_count();
  const bool missing_anywhere = world.max(visible == 0 ? 1 : 0) == 1;
  if (missing_anywhere) {
    if (options.device == DeviceKind::kCuda && visible == 0) {
      throw ConfigError(fmt::format(
          "distributed.device = \"cuda\", but rank {} on {} sees no GPU; take \"auto\" or \"cpu\"",
          world.rank(), world.host()));
    }
    if (options.device == DeviceKind::kCuda) {
      throw ConfigError("distributed.device = \"cuda\", but another rank sees no GPU");
    }
    return at::Device(at::kCPU);
  }
  // A scheduler may show each rank its own GPU only, so the index is taken among the visible ones.
  const int64_t index = world.local_rank() % visible;
  const int other = rank_sharing_gpu(world, gpu_identity(index));
  const bool shared_anywhere = world.max(other >= 0 ? 1 : 0) == 1;
  if (shared_anywhere && !options.share_device) {
    throw ConfigError(
        other >= 0
            ? fmt::format("ranks {} and {} would share GPU {} of {}: start no more ranks than GPUs "
                          "on a host, or set distributed.share_device = true",
                          world.rank(), other, index, world.host())
            : "other ranks would share a GPU (distributed.share_device = false)");
  }
  const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(index));
  c10::impl::VirtualGuardImpl(device.type()).setDevice(device);
  return device;
}

}  // namespace dbps::distributed

#include "training/device_memory.h"

#ifdef DBPS_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>
#endif

namespace dbps::training {

#ifdef DBPS_CUDA

int64_t peak_device_bytes(at::Device device) {
  if (!device.is_cuda()) return 0;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  return stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)]
      .peak;
}

int64_t free_device_bytes(at::Device device) {
  if (!device.is_cuda()) return 0;
  const c10::cuda::CUDAGuard guard(device);
  size_t free = 0;
  size_t total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  return static_cast<int64_t>(free);
}

#else

int64_t peak_device_bytes(at::Device) { return 0; }
int64_t free_device_bytes(at::Device) { return 0; }

#endif

}  // namespace dbps::training

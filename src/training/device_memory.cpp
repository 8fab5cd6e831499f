#include "training/device_memory.h"

#include <ATen/Parallel.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include <atomic>

#ifdef DBPS_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>
#endif

namespace dbps::training {
namespace {

std::atomic<int64_t> host_bytes{0};
std::atomic<int64_t> host_peak{0};
thread_local bool counts_tensors = false;

void add_host_bytes(int64_t bytes) {
  const int64_t now = host_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  int64_t peak = host_peak.load(std::memory_order_relaxed);
  while (now > peak && !host_peak.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

// What malloc gave, rounded up as it is, so that no table of sizes is needed when it is freed.
int64_t size_of(void* data) { return static_cast<int64_t>(::malloc_usable_size(data)); }

void release_counted(void* data) {
  add_host_bytes(-size_of(data));
  c10::GetDefaultCPUAllocator()->raw_deallocate(data);
}

// The deleter remembers whether an allocation was counted.
class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    c10::DataPtr data = c10::GetDefaultCPUAllocator()->allocate(bytes);
    // In a parallel region: one of the counting thread's helpers.
    if (!counts_tensors && !at::in_parallel_region()) return data;
    add_host_bytes(size_of(data.get()));
    const c10::Device device = data.device();
    void* memory = data.release_context();
    return {memory, memory, &release_counted, device};
  }
  // Raw memory is asked for by the libraries of the counting thread's operations, and its helpers'.
  c10::DeleterFnPtr raw_deleter() const override { return &release_counted; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

}  // namespace

void count_tensor_bytes(at::Device device) {
  if (!device.is_cpu()) return;
  static CountingAllocator allocator;  // LibTorch keeps it to the end
  counts_tensors = true;
  c10::SetCPUAllocator(&allocator, /*priority=*/1);
}

int64_t peak_device_bytes(at::Device device) {
#ifdef DBPS_CUDA
  if (device.is_cuda()) {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
    return stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)]
        .peak;
  }
#endif
  return device.is_cpu() ? host_peak.load(std::memory_order_relaxed) : 0;
}

void begin_peak(at::Device device) {
#ifdef DBPS_CUDA
  if (device.is_cuda()) c10::cuda::CUDACachingAllocator::resetPeakStats(device.index());
#endif
  if (device.is_cpu()) {
    host_peak.store(host_bytes.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
}

int64_t free_device_bytes([[maybe_unused]] at::Device device) {
#ifdef DBPS_CUDA
  if (device.is_cuda()) {
    const c10::cuda::CUDAGuard guard(device);
    size_t free = 0;
    size_t total = 0;
    if (cudaMemGetInfo(&free, &total) == cudaSuccess) return static_cast<int64_t>(free);
  }
#endif
  return 0;
}

}  // namespace dbps::training

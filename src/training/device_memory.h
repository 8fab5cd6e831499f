// Memory of the training's device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dbps::training {

// Counts from now on the bytes of tensors that this thread and its helpers in a parallel region
// make on the host, whoever frees them; nothing where the device is a GPU. Once a process, before
// the tensors that are to count. Replaces LibTorch's allocator of host memory by one that asks it
// and counts: some ten nanoseconds a tensor. Tensors of the loader's and other threads stay
// uncounted.
void count_tensor_bytes(at::Device device);

// Peak bytes of tensors: on a GPU all of this process, on the CPU those counted; since the process
// began or begin_peak() was called last.
int64_t peak_device_bytes(at::Device device);
void begin_peak(at::Device device);

// Free bytes on a GPU now; 0 on the CPU.
int64_t free_device_bytes(at::Device device);

}  // namespace dbps::training

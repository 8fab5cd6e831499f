// Memory of the training's device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dbps::training {

// Peak bytes of tensors on a GPU since the process began; 0 on the CPU.
int64_t peak_device_bytes(at::Device device);
// Free bytes on a GPU now; 0 on the CPU.
int64_t free_device_bytes(at::Device device);

}  // namespace dbps::training

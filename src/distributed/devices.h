// The GPUs that this process sees. Private to the room.
#pragma once

#include <cstdint>
#include <string>

#include "distributed/world.h"

namespace dbps::distributed {

int64_t gpu_count();  // 0 too when this LibTorch has no CUDA

// The same text for the same GPU in every process of a host, whatever CUDA_VISIBLE_DEVICES hides.
std::string gpu_identity(int64_t index);

// The first other rank that uses this rank's GPU, or -1; `identity` is empty on the CPU.
// Collective.
int rank_sharing_gpu(World& world, const std::string& identity);

}  // namespace dbps::distributed

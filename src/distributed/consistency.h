// Proof that all ranks hold the same tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "distributed/world.h"

namespace dbps::distributed {

// Compares a checksum of every tensor (bytes, shape and type) over ranks; tensors are of any
// device. Throws RuntimeFault on every rank, naming the first tensor that differs and the ranks
// that differ from rank 0. Collective.
void equal_on_all_ranks(World& world,
                        const std::vector<std::pair<std::string, at::Tensor>>& tensors);

}  // namespace dbps::distributed

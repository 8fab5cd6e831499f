// The colour jitter of data/jitter.h by tensor operations, for pixels on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "data/jitter.h"

namespace dbps::data {

// `patches` (n, C, h, w), floating, in [0, 1], are changed in place; `jitter` holds one a patch.
void jitter_on_device(at::Tensor& patches, const std::vector<const Jitter*>& jitter);

}  // namespace dbps::data

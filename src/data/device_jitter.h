// What DevicePatches does to pixels, by tensor operations, for pixels on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "data/jitter.h"

namespace dbps::data {

// `patches` (n, C, h, w), floating, in [0, 1], are changed in place; `jitter` (data/jitter.h)
// holds one a patch.
void jitter_on_device(at::Tensor& patches, const std::vector<const Jitter*>& jitter);

// (n, 1, h, w) bool: which pixels of `patches` (n, C, h, w) lie in `parts` (n, 4): x0, y0, x1, y1.
at::Tensor lies_in(const at::Tensor& parts, const at::Tensor& patches);

}  // namespace dbps::data

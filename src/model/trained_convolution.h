// A convolution of the trained network, without bias and with gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dbps::model {

// x (n, C, h, w), weight (D, C, k, k) -> (n, D, h', w'), with a first derivative. 3 x 3 of stride 1
// in fp32 on the CPU goes through WinogradConvolution where that gains, forwards and for the
// gradient of x (whose bits then do not depend on the number of threads); the gradient of the
// weight, and everything else, through ATen. Keeps x and weight for the backward pass, as ATen
// does.
at::Tensor trained_convolution(const at::Tensor& x, const at::Tensor& weight, int64_t stride,
                               int64_t padding);

}  // namespace dbps::model

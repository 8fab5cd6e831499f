// 3 x 3 convolutions of stride 1 on the CPU with a third of the multiplications: minimal filtering
// F(4 x 4, 3 x 3) after Winograd (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", CVPR 2016, section 4). No gradient:
// trained_convolution.h has that.
//
// Shapes: n pictures, C and D channels, h x w pixels; fp32, channels-last.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/onednn_convolution.h"

namespace dbps::model {

class WinogradConvolution {
 public:
  // Whether a layer of this shape can go this way: 3 x 3, stride 1, padding 1, channels in whole
  // vectors, fp32 on the CPU, with oneDNN.
  static bool serves(const at::Tensor& weight_DC33, int64_t stride, int64_t padding);
  // Whether pictures of h x w gain by it: their 4 x 4 tiles must not hang over too much.
  static bool gains(int64_t h, int64_t w);
  // Whether n of them also pay for filters that are used this once.
  static bool gains_once(int64_t n, int64_t h, int64_t w);

  // Copies what it needs. bias is (D).
  WinogradConvolution(const at::Tensor& weight_DC33, const at::Tensor& bias);

  // (n, C, h, w) -> (n, D, h, w): relu(convolution + bias + residual); residual may be undefined,
  // relu left out. Differs from a direct convolution by rounding, two to three times as much as
  // oneDNN's does from the exact result. Its bits do not depend on the number of threads.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& residual, bool relu) const;

 private:
  int64_t out_;
  int64_t in_;
  // The products at each of the 36 points, 1 x 1 convolutions of as many groups; of a slice of the
  // output channels each.
  std::vector<OneDnnConvolution> products_;
  at::Tensor bias_;
};

}  // namespace dbps::model

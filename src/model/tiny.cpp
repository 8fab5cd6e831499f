// `tiny`: four convolutions for pictures as simple as the demo's, each a stage; D = 64.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "model/convolutional.h"
#include "model/encoders.h"

namespace dbps::model {
namespace {

// Names: conv1.weight, bn1.*, ... conv4.weight, bn4.*.
class Tiny final : public ConvolutionalEncoder {
 public:
  Tiny(const EncoderOptions& options, at::TensorOptions tensor, int64_t seed,
       BatchStatistics& statistics)
      : ConvolutionalEncoder(options, tensor, seed, statistics) {
    struct Size {
      int64_t out;
      int64_t stride;
    };
    int64_t in = options.channels;
    for (const Size& size : {Size{16, 2}, Size{32, 2}, Size{64, 2}, Size{64, 1}}) {
      const auto stage = static_cast<int64_t>(layers_++);
      add_layer({.convolution = fmt::format("conv{}", layers_),
                 .norm = fmt::format("bn{}", layers_),
                 .in = in,
                 .out = size.out,
                 .stride = size.stride,
                 .stage = stage});
      in = size.out;
    }
    // Without normalised features training collapses half-way: BatchNorm's statistics follow what
    // is selected, and selection follows them.
    complete(/*features=*/in, /*stride=*/8, /*normalised=*/true, /*projected_by_default=*/false);
  }

 private:
  at::Tensor trunk(const at::Tensor& patches, const RunLayer& run) const override {
    at::Tensor x = patches;
    for (size_t layer = 0; layer < layers_; ++layer) x = run(layer, x, Activation::kRelu, {});
    return x;
  }

  size_t layers_ = 0;
};

}  // namespace

std::unique_ptr<Encoder> make_tiny(const EncoderOptions& options, at::TensorOptions tensor,
                                   int64_t seed, BatchStatistics& statistics) {
  return std::make_unique<Tiny>(options, tensor, seed, statistics);
}

}  // namespace dbps::model

// ResNet-18 and ResNet-50 in torchvision's layout and with its names, to global average pooling.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <vector>

#include "base/error.h"
#include "model/convolutional.h"
#include "model/encoders.h"

namespace dbps::model {
namespace {

struct Architecture {
  std::array<int64_t, 4> blocks;  // a stage
  bool bottleneck;                // 1x1, 3x3, 1x1 with four times the channels, else two 3x3
  bool projected;                 // by default
};

class Resnet final : public ConvolutionalEncoder {
 public:
  Resnet(const Architecture& architecture, const EncoderOptions& options, at::TensorOptions tensor,
         int64_t seed, BatchStatistics& statistics)
      : ConvolutionalEncoder(options, tensor, seed, statistics) {
    if (options.stages < 1 || options.stages > 4) {
      throw ConfigError(fmt::format("encoder.stages = {}: give 1 to 4", options.stages));
    }
    add_layer({.convolution = "conv1",
               .norm = "bn1",
               .in = options.channels,
               .out = 64,
               .kernel = 7,
               .stride = 2,
               .replaced = options.channels != 3});
    int64_t in = 64;
    for (int64_t stage = 0; stage < options.stages; ++stage) {
      for (int64_t block = 0; block < architecture.blocks[stage]; ++block) {
        in = add_block(architecture.bottleneck, stage, block, in);
      }
    }
    if (options.channels != 3) spec_.replaced_stem = "conv1.weight";
    spec_.unused_weights = {"fc."};
    for (int64_t stage = options.stages; stage < 4; ++stage) {
      spec_.unused_weights.push_back(fmt::format("layer{}.", stage + 1));
    }
    complete(in, /*stride=*/int64_t{2} << options.stages, /*normalised=*/false,
             architecture.projected);
  }

 private:
  struct Block {
    std::vector<size_t> layers;
    std::optional<size_t> downsample;
  };

  // Returns the channels that the block gives.
  int64_t add_block(bool bottleneck, int64_t stage, int64_t number_in_stage, int64_t in) {
    const std::string name = fmt::format("layer{}.{}", stage + 1, number_in_stage);
    const int64_t channels = int64_t{64} << stage;
    const int64_t stride = stage > 0 && number_in_stage == 0 ? 2 : 1;
    struct Size {
      int64_t out;
      int64_t kernel;
      int64_t stride;
    };
    const std::vector<Size> sizes =
        bottleneck
            ? std::vector<Size>{{channels, 1, 1}, {channels, 3, stride}, {4 * channels, 1, 1}}
            : std::vector<Size>{{channels, 3, stride}, {channels, 3, 1}};
    Block block;
    int64_t width = in;
    for (const Size& size : sizes) {
      const size_t number = block.layers.size() + 1;
      block.layers.push_back(add_layer({.convolution = fmt::format("{}.conv{}", name, number),
                                        .norm = fmt::format("{}.bn{}", name, number),
                                        .in = width,
                                        .out = size.out,
                                        .kernel = size.kernel,
                                        .stride = size.stride,
                                        .stage = stage}));
      width = size.out;
    }
    if (stride != 1 || in != width) {
      block.downsample = add_layer({.convolution = name + ".downsample.0",
                                    .norm = name + ".downsample.1",
                                    .in = in,
                                    .out = width,
                                    .kernel = 1,
                                    .stride = stride,
                                    .stage = stage});
    }
    blocks_.push_back(std::move(block));
    return width;
  }

  at::Tensor trunk(const at::Tensor& patches, const RunLayer& run) const override {
    at::Tensor x = run(0, patches, Activation::kRelu, {});
    x = at::max_pool2d(x, 3, 2, 1);
    for (const Block& block : blocks_) {
      const at::Tensor shortcut =
          block.downsample ? run(*block.downsample, x, Activation::kNone, {}) : x;
      for (size_t i = 0; i < block.layers.size(); ++i) {
        const bool last = i + 1 == block.layers.size();
        x = run(block.layers[i], x, Activation::kRelu, last ? shortcut : at::Tensor());
      }
    }
    return x;
  }

  std::vector<Block> blocks_;
};

constexpr Architecture kResnet18 = {{2, 2, 2, 2}, /*bottleneck=*/false, /*projected=*/false};
constexpr Architecture kResnet50 = {{3, 4, 6, 3}, /*bottleneck=*/true, /*projected=*/true};

}  // namespace

std::unique_ptr<Encoder> make_resnet18(const EncoderOptions& options, at::TensorOptions tensor,
                                       int64_t seed, BatchStatistics& statistics) {
  return std::make_unique<Resnet>(kResnet18, options, tensor, seed, statistics);
}

std::unique_ptr<Encoder> make_resnet50(const EncoderOptions& options, at::TensorOptions tensor,
                                       int64_t seed, BatchStatistics& statistics) {
  return std::make_unique<Resnet>(kResnet50, options, tensor, seed, statistics);
}

}  // namespace dbps::model

#include "bench/plain_resnet.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace dbps::bench {
namespace {

constexpr int64_t kStages = 4;
constexpr int64_t kBlocks = 2;  // a stage

int64_t stride_of(int64_t stage, int64_t block) { return stage > 0 && block == 0 ? 2 : 1; }

}  // namespace

PlainResnet18::PlainResnet18(const model::Model& model) {
  const std::string prefix = "encoder.";
  for (const model::NamedTensor& named : model.tensors()) {
    if (named.name.starts_with(prefix)) {
      tensors_.emplace(named.name.substr(prefix.size()), named.tensor);
    }
  }
}

at::Tensor PlainResnet18::normalised(const std::string& convolution, const std::string& norm,
                                     const at::Tensor& x, int64_t stride, bool training) const {
  const at::Tensor& weight = tensors_.at(convolution + ".weight");
  const at::Tensor y = at::conv2d(x, weight, {}, stride, weight.size(2) / 2);
  return at::batch_norm(y, tensors_.at(norm + ".weight"), tensors_.at(norm + ".bias"),
                        tensors_.at(norm + ".running_mean"), tensors_.at(norm + ".running_var"),
                        training, /*momentum=*/0.1, /*eps=*/1e-5, /*cudnn_enabled=*/true);
}

at::Tensor PlainResnet18::embed(const at::Tensor& patches, bool training) const {
  at::Tensor x = normalised("conv1", "bn1", patches.contiguous(), 2, training).relu_();
  x = at::max_pool2d(x, 3, 2, 1);
  for (int64_t stage = 0; stage < kStages; ++stage) {
    for (int64_t block = 0; block < kBlocks; ++block) {
      const std::string name = fmt::format("layer{}.{}.", stage + 1, block);
      const int64_t stride = stride_of(stage, block);
      at::Tensor y = normalised(name + "conv1", name + "bn1", x, stride, training).relu_();
      y = normalised(name + "conv2", name + "bn2", y, 1, training);
      if (stride != 1) {
        x = normalised(name + "downsample.0", name + "downsample.1", x, stride, training);
      }
      x = y.add_(x).relu_();
    }
  }
  return x.mean({2, 3});
}

double multiply_adds(int64_t side) {
  const auto halved = [](int64_t n) { return (n + 1) / 2; };
  const auto layer = [](int64_t out_side, int64_t in, int64_t out, int64_t kernel) {
    return static_cast<double>(out_side * out_side * in * out * kernel * kernel);
  };
  int64_t now = halved(side);
  double sum = layer(now, 3, 64, 7);
  now = halved(now);
  int64_t in = 64;
  for (int64_t stage = 0; stage < kStages; ++stage) {
    const int64_t out = int64_t{64} << stage;
    for (int64_t block = 0; block < kBlocks; ++block) {
      if (stride_of(stage, block) == 2) {
        now = halved(now);
        sum += layer(now, in, out, 1);
      }
      sum += layer(now, in, out, 3) + layer(now, out, out, 3);
      in = out;
    }
  }
  return sum;
}

}  // namespace dbps::bench

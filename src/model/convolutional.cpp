#include "model/convolutional.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "model/trained_convolution.h"

namespace dbps::model {

// Evaluation mode, convolution + BatchNorm as one convolution with a bias. What stands between the
// convolutions and after them keeps the type of the weights.
class FoldedEncoder final : public ScanEncoder {
 public:
  FoldedEncoder(const ConvolutionalEncoder& source, at::ScalarType type)
      : source_(source), type_(type) {
    refresh();
  }

  void refresh() override {
    const c10::NoGradGuard no_grad;
    layers_.clear();
    for (const auto& layer : source_.layers_) {
      const auto [scale, shift] = layer.norm.affine();
      layers_.emplace_back((layer.weight * scale.view({-1, 1, 1, 1})).to(type_), shift.to(type_),
                           layer.stride, layer.padding);
    }
    if (source_.projector_) projector_ = source_.projector_->fold();
  }

  at::Tensor embed(const at::Tensor& patches_nCHW) override {
    // Not inference mode: the embeddings kept are used in a pass with gradient later.
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> embeddings;
    for (const at::Tensor& piece : patches_nCHW.chunk(pieces(patches_nCHW))) {
      embeddings.push_back(embed_piece(piece));
    }
    return embeddings.size() == 1 ? embeddings.front() : at::cat(embeddings);
  }

 private:
  // Of the largest tensor: bounds the memory of a scan step whatever L is, at no cost in speed.
  static constexpr int64_t kMostBytes = 96 << 20;

  // So many that the first layer's output, the largest, stays below.
  int64_t pieces(const at::Tensor& patches_nCHW) const {
    if (!patches_nCHW.is_cpu()) return 1;
    const ConvolutionalEncoder::ConvBn& first = source_.layers_.front();
    const int64_t bytes = patches_nCHW.numel() / patches_nCHW.size(1) /
                          (first.stride * first.stride) * first.weight.size(0) *
                          static_cast<int64_t>(c10::elementSize(type_));
    return std::clamp<int64_t>(1 + bytes / kMostBytes, 1,
                               std::max<int64_t>(patches_nCHW.size(0), 1));
  }

  at::Tensor embed_piece(const at::Tensor& patches_nCHW) {
    const RunLayer run = [this](size_t index, const at::Tensor& x, Activation activation,
                                const at::Tensor& residual) {
      return layers_[index](x, activation, residual);
    };
    const at::Tensor features = source_.pooled(patches_nCHW.to(type_), run);
    return projector_ ? projector_->forward(features) : features;
  }

  const ConvolutionalEncoder& source_;
  const at::ScalarType type_;
  std::vector<FusedConvolution> layers_;
  std::optional<Projector::Folded> projector_;
};

ConvolutionalEncoder::ConvolutionalEncoder(const EncoderOptions& options, at::TensorOptions tensor,
                                           int64_t seed, BatchStatistics& statistics)
    : options_(options), initial_(seed, tensor, "encoder"), statistics_(statistics) {
  if (options.channels != 1 && options.channels != 3) {
    throw ConfigError(fmt::format("encoder.channels = {}: give 1 or 3", options.channels));
  }
  spec_.channels = options.channels;
  // ImageNet's, or their means over the colours.
  spec_.mean =
      options.channels == 3 ? std::vector<double>{0.485, 0.456, 0.406} : std::vector<double>{0.449};
  spec_.std =
      options.channels == 3 ? std::vector<double>{0.229, 0.224, 0.225} : std::vector<double>{0.226};
}

size_t ConvolutionalEncoder::add_layer(const Layer& layer) {
  const std::string name = layer.convolution + ".weight";
  const std::vector<int64_t> shape = {layer.out, layer.in, layer.kernel, layer.kernel};
  const int64_t fan_in = layer.in * layer.kernel * layer.kernel;
  const at::Tensor weight =
      parameters_.add(name, layer.replaced ? initial_.fan_in_uniform(name, shape, fan_in)
                                           : initial_.kaiming_normal(name, shape));
  const bool frozen = options_.frozen || layer.stage < options_.frozen_stages;
  layers_.push_back(
      {weight,
       BatchNorm(layer.norm, layer.out, initial_, parameters_, frozen ? nullptr : &statistics_),
       layer.stride, layer.kernel / 2});
  if (frozen) parameters_.freeze();  // as all before it are
  num_stages_ = layer.stage + 1;
  return layers_.size() - 1;
}

void ConvolutionalEncoder::complete(int64_t features, int64_t stride, bool normalised,
                                    bool projected_by_default) {
  const std::string& projector = options_.projector;
  if (projector != "auto" && projector != "none" && projector != "linear") {
    throw ConfigError(
        fmt::format("encoder.projector = '{}': give 'auto', 'none' or 'linear'", projector));
  }
  if (options_.frozen_stages > num_stages_) {
    throw ConfigError(fmt::format("encoder.frozen_stages = {}: this {} has {}",
                                  options_.frozen_stages, options_.kind, num_stages_));
  }
  normalised_ = normalised;
  spec_.min_patch = stride;
  const bool projected = projector == "linear" || (projector == "auto" && projected_by_default);
  const int64_t own = projected ? kProjectedWidth : features;
  const int64_t width = options_.width == 0 ? own : options_.width;
  if (width < 0) throw ConfigError(fmt::format("encoder.width = {}: give 0 or more", width));
  if (projected) {
    projector_.emplace(features, width, initial_, parameters_,
                       options_.frozen ? nullptr : &statistics_);
  } else if (width != features) {
    throw ConfigError(fmt::format(
        "encoder.width = {}: {} without projector gives {}; give 0, {}, or projector = 'linear'",
        width, options_.kind, features, features));
  }
  spec_.width = width;
  if (options_.frozen) parameters_.freeze();
}

at::Tensor ConvolutionalEncoder::pooled(const at::Tensor& patches, const RunLayer& run) const {
  DBPS_CHECK(patches.dim() == 4 && patches.size(1) == spec_.channels,
             "an encoder was given patches of another number of channels");
  const at::Tensor features =
      trunk(patches.contiguous(at::MemoryFormat::ChannelsLast), run)
          .mean({2, 3}, /*keepdim=*/false, layers_.front().weight.scalar_type());
  return normalised_ ? plain_layer_norm(features) : features;
}

at::Tensor ConvolutionalEncoder::embed(const at::Tensor& patches_nCHW, const Forward& forward) {
  const at::ScalarType type = forward.compute_type.value_or(layers_.front().weight.scalar_type());
  const RunLayer run = [&](size_t index, const at::Tensor& x, Activation activation,
                           const at::Tensor& residual) {
    const ConvBn& layer = layers_[index];
    at::Tensor y = layer.norm.forward(
        trained_convolution(x, layer.weight.to(type), layer.stride, layer.padding), forward);
    if (residual.defined()) y.add_(residual);
    return activation == Activation::kRelu ? y.relu_() : y;
  };
  const at::Tensor features = pooled(patches_nCHW.to(type), run);
  return projector_ ? projector_->forward(features, forward) : features;
}

std::unique_ptr<ScanEncoder> ConvolutionalEncoder::make_scan_copy(at::ScalarType type) {
  return std::make_unique<FoldedEncoder>(*this, type);
}

}  // namespace dbps::model

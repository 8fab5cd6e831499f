// Encoders made of convolutions with BatchNorm. The topology is written once, in trunk(); it runs
// the trained layers as well as the scan's copies, whose BatchNorm is folded into the convolutions.
//
// Shapes: n patches, C channels, h x w pixels, D width of the embeddings.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/batch_norm.h"
#include "model/encoder.h"
#include "model/fused_convolution.h"
#include "model/initialize.h"
#include "model/projector.h"

namespace dbps::model {

// Runs one layer of the network: activation(normalised convolution of x + residual). `residual` may
// be undefined.
using RunLayer = std::function<at::Tensor(size_t layer, const at::Tensor& x, Activation activation,
                                          const at::Tensor& residual)>;

class ConvolutionalEncoder : public Encoder {
 public:
  const EncoderSpec& spec() const override { return spec_; }
  at::Tensor embed(const at::Tensor& patches_nCHW, const Forward& forward) override;
  Parameters& parameters() override { return parameters_; }
  std::unique_ptr<ScanEncoder> make_scan_copy(at::ScalarType type) override;

 protected:
  struct Layer {
    std::string convolution;  // "<convolution>.weight"
    std::string norm;         // "<norm>.weight", ...
    int64_t in = 0;
    int64_t out = 0;
    int64_t kernel = 3;  // padded by kernel / 2
    int64_t stride = 1;
    int64_t stage = 0;      // never less than that of the layer before; the stem's is the first
    bool replaced = false;  // initialised as PyTorch's default, not Kaiming-normal
  };

  // Patches of `channels` 1 or 3, else ConfigError.
  ConvolutionalEncoder(const EncoderOptions& options, at::TensorOptions tensor, int64_t seed,
                       BatchStatistics& statistics);
  size_t add_layer(const Layer& layer);  // its number in trunk()'s run
  // Last in a constructor: the features that trunk() gives, their total stride in pixels, and
  // whether they are layer-normalised after pooling. Adds the projector if there is one.
  void complete(int64_t features, int64_t stride, bool normalised, bool projected_by_default);

  // (n, C, h, w) -> (n, features, h', w').
  virtual at::Tensor trunk(const at::Tensor& patches, const RunLayer& run) const = 0;

  EncoderSpec spec_;

 private:
  friend class FoldedEncoder;
  struct ConvBn {
    at::Tensor weight;
    BatchNorm norm;
    int64_t stride;
    int64_t padding;
  };

  // (n, features), whatever type the layers compute in, in the type of the weights.
  at::Tensor pooled(const at::Tensor& patches, const RunLayer& run) const;

  EncoderOptions options_;
  Initializer initial_;
  BatchStatistics& statistics_;
  Parameters parameters_;
  std::vector<ConvBn> layers_;
  int64_t num_stages_ = 0;
  bool normalised_ = false;
  std::optional<Projector> projector_;
};

}  // namespace dbps::model

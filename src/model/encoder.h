// Patches (or feature vectors) to embeddings. One file and one registration an encoder.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/context.h"
#include "model/options.h"
#include "model/parameters.h"

namespace dbps::model {

// What an encoder asks of its input and gives.
struct EncoderSpec {
  int64_t width = 0;         // D of the embeddings
  int64_t channels = 3;      // of features 0, as min_patch; mean and std are empty
  int64_t min_patch = 1;     // smallest side in pixels that reaches the last layer
  int64_t fixed_patch = 0;   // side it insists on (transformers); 0: any
  std::vector<double> mean;  // of the input, 0 .. 1, a channel
  std::vector<double> std;
  // Beginnings of names that its weight files may hold and that it does not use ("fc.").
  std::vector<std::string> unused_weights;
  // A first weight that stays random where a file's is for another number of channels; "": none.
  std::string replaced_stem;
};

// The scan's own copy of an encoder: evaluation mode (running statistics), no gradient, free to
// fold, fuse and change layout or type. Never touches the trained encoder.
class ScanEncoder {
 public:
  virtual ~ScanEncoder() = default;
  virtual void refresh() = 0;  // take over the trained encoder's present weights and statistics
  virtual at::Tensor embed(const at::Tensor& patches_nCHW) = 0;  // (n, D), no gradient
};

class Encoder {
 public:
  virtual ~Encoder() = default;
  virtual const EncoderSpec& spec() const = 0;
  // (n, C, h, w), or (n, F) of feature vectors -> (n, D). training: batch statistics, recorded into
  // forward.statistics.
  virtual at::Tensor embed(const at::Tensor& patches_nCHW, const Forward& forward) = 0;
  virtual Parameters& parameters() = 0;
  // Computes in `type`, takes and gives the type of the weights. Borrows this encoder, which must
  // outlive it.
  virtual std::unique_ptr<ScanEncoder> make_scan_copy(at::ScalarType type) = 0;
};

// Initial weights are drawn from `seed` (Purpose::kInitialize), on the CPU in fp64 then cast, so
// that they do not depend on the device. BatchNorm layers register with `statistics`.
using EncoderFactory = std::function<std::unique_ptr<Encoder>(
    const EncoderOptions&, at::TensorOptions, int64_t seed, BatchStatistics& statistics)>;

// The one place where encoders are known by name: model/registry.cpp.
const std::vector<std::string>& encoder_kinds();
std::unique_ptr<Encoder> make_encoder(const EncoderOptions& options, at::TensorOptions tensor,
                                      int64_t seed, BatchStatistics& statistics);

}  // namespace dbps::model

// From an encoder's pooled features to embeddings of a chosen width (method.md 4).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/batch_norm.h"
#include "model/context.h"
#include "model/initialize.h"
#include "model/parameters.h"

namespace dbps::model {

inline constexpr const char* kProjectorPrefix = "projector.";
inline constexpr int64_t kProjectedWidth = 512;  // unless encoder.width says otherwise

// x / its standard deviation about its mean, without parameters; eps 1e-5.
at::Tensor plain_layer_norm(const at::Tensor& x);

// plain_layer_norm, Linear(in, width), BatchNorm, ReLU: (n, in) -> (n, width).
class Projector {
 public:
  // Adds projector.linear.{weight,bias} and projector.bn.*.
  Projector(int64_t in, int64_t width, const Initializer& initial, Parameters& parameters,
            BatchStatistics* statistics);
  at::Tensor forward(const at::Tensor& x, const Forward& forward) const;

  // The evaluation form, BatchNorm folded into Linear.
  struct Folded {
    at::Tensor weight;
    at::Tensor bias;
    at::Tensor forward(const at::Tensor& x) const;
  };
  Folded fold() const;

 private:
  at::Tensor weight_;
  at::Tensor bias_;
  BatchNorm norm_;
};

}  // namespace dbps::model

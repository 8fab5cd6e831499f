// Batch normalisation whose batch statistics go to the step, not to the running tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "model/context.h"
#include "model/initialize.h"
#include "model/parameters.h"

namespace dbps::model {

// Over (n, C, h, w) or (n, C), eps 1e-5. Training: normalises by batch statistics and records them
// in forward.statistics, which must be given; the running tensors change only in
// BatchStatistics::update_running. A single value a channel has no variance: it is normalised by
// the running statistics and not recorded. With forward.group the batch is that of all its ranks,
// each of which records its share.
class BatchNorm {
 public:
  // Adds "<name>.weight", "<name>.bias" and the buffers "<name>.running_mean",
  // "<name>.running_var". Without `statistics` the layer is frozen: normalises by the running
  // statistics in training, too.
  BatchNorm(const std::string& name, int64_t channels, const Initializer& initial,
            Parameters& parameters, BatchStatistics* statistics);

  at::Tensor forward(const at::Tensor& x, const Forward& forward) const;

  // The evaluation form as y = scale * x + shift, (C) each.
  struct Affine {
    at::Tensor scale;
    at::Tensor shift;
  };
  Affine affine() const;

 private:
  at::Tensor weight_;
  at::Tensor bias_;
  at::Tensor running_mean_;
  at::Tensor running_variance_;
  int64_t layer_ = -1;  // in BatchStatistics
};

}  // namespace dbps::model

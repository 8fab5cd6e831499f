// The whole model: encoder, aggregator and heads.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "model/aggregator.h"
#include "model/context.h"
#include "model/encoder.h"
#include "model/heads.h"
#include "model/options.h"
#include "model/parameters.h"

namespace dbps::model {

class Model {
 public:
  // Random weights from `seed`, then encoder.weights when given. Throws ConfigError or DataError.
  Model(const ModelOptions& options, at::Device device, at::ScalarType dtype, int64_t seed);

  const ModelOptions& options() const { return options_; }
  Encoder& encoder() { return *encoder_; }
  Aggregator& aggregator() { return *aggregator_; }
  Heads& heads() { return *heads_; }
  BatchStatistics& statistics() { return statistics_; }

  // What selection ranks patches by, (n, columns), without gradient: the aggregator's logits, or
  // the heads' confidences where it classifies patches. Arguments as of Aggregator::scan_logits.
  at::Tensor scan_logits(const at::Tensor& embeddings_nD, const at::Tensor& places_n);

  // "encoder.*", "aggregator.*", "heads.*", in a fixed order: encoder first, heads last.
  std::vector<NamedTensor> parameters() const;
  std::vector<NamedTensor> buffers() const;
  std::vector<NamedTensor> tensors() const;  // parameters, then buffers: what a weights file holds

 private:
  ModelOptions options_;
  BatchStatistics statistics_;
  std::unique_ptr<Encoder> encoder_;
  std::unique_ptr<Aggregator> aggregator_;
  std::unique_ptr<Heads> heads_;
};

}  // namespace dbps::model

// The factories of our encoders, for registry.cpp alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "model/encoder.h"

namespace dbps::model {

std::unique_ptr<Encoder> make_resnet18(const EncoderOptions& options, at::TensorOptions tensor,
                                       int64_t seed, BatchStatistics& statistics);
std::unique_ptr<Encoder> make_resnet50(const EncoderOptions& options, at::TensorOptions tensor,
                                       int64_t seed, BatchStatistics& statistics);
std::unique_ptr<Encoder> make_features(const EncoderOptions& options, at::TensorOptions tensor,
                                       int64_t seed, BatchStatistics& statistics);
std::unique_ptr<Encoder> make_tiny(const EncoderOptions& options, at::TensorOptions tensor,
                                   int64_t seed, BatchStatistics& statistics);

}  // namespace dbps::model

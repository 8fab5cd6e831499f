// What make_golden.py and the tests agree on: weights and inputs as a formula of their name.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/parameters.h"
#include "model/weights.h"
#include "support/test_data.h"

namespace dbps::model {

// The bags that aggregators are tried on: rows of this width, three bags by their offsets.
inline constexpr int64_t kGoldenWidth = 16;
inline const std::vector<int64_t> kGoldenSalient = {0, 5, 7, 13};
inline const std::vector<int64_t> kGoldenSubSalient = {0, 7, 7, 11};

// Uniform in [-1, 1), fp64.
inline at::Tensor noise(std::string_view name, at::IntArrayRef shape) {
  uint32_t hashed = 0x811C9DC5;
  for (const char c : name) hashed = (hashed ^ static_cast<uint8_t>(c)) * 0x01000193;
  at::Tensor values = at::empty(shape, at::kDouble);
  double* data = values.data_ptr<double>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    uint32_t x = static_cast<uint32_t>(i) * 0x9E3779B1u + hashed;
    for (int round = 0; round < 2; ++round) x = (x ^ (x >> 16)) * 0x45D9F3Bu;
    data[i] = (x ^ (x >> 16)) / 2147483648.0 - 1;
  }
  return values;
}

inline at::Tensor golden_weight(const std::string& name, at::IntArrayRef shape) {
  const at::Tensor x = noise(name, shape);
  if (name.ends_with("running_var")) return 1 + 0.5 * x;
  if (shape.size() >= 2) return x * std::sqrt(6.0 * static_cast<double>(shape[0]) / x.numel());
  return name.ends_with(".weight") ? 1 + 0.3 * x : 0.2 * x;
}

inline void fill(Parameters& part) {
  const c10::NoGradGuard no_grad;
  for (const auto* list : {&part.parameters(), &part.buffers()}) {
    for (const NamedTensor& named : *list) {
      named.tensor.copy_(golden_weight(named.name, named.tensor.sizes()));
    }
  }
}

// A gradient as two numbers: its norm, and its product with noise.
inline at::Tensor projection(const std::string& name, const at::Tensor& gradient) {
  const at::Tensor wide = gradient.detach().to(at::kDouble);
  return at::stack({wide.norm(), (wide * noise(name, wide.sizes())).sum()});
}

inline std::map<std::string, at::Tensor> read_golden(const std::string& name) {
  std::map<std::string, at::Tensor> golden;
  for (const NamedTensor& named :
       read_weights(test_data() / "model/golden" / (name + ".safetensors")).tensors) {
    golden[named.name] = named.tensor;
  }
  return golden;
}

// Within `tolerance` of the largest magnitude expected, or of 1 where that is smaller.
inline void expect_close(const at::Tensor& got, const at::Tensor& expected, double tolerance,
                         const std::string& what) {
  ASSERT_EQ(got.sizes(), expected.sizes()) << what;
  const at::Tensor wide = expected.to(at::kDouble);
  const double scale = std::max(1.0, wide.abs().max().item<double>());
  const double difference =
      (got.detach().to(at::kDouble) - wide).abs().max().item<double>() / scale;
  EXPECT_LE(difference, tolerance) << what;
}

}  // namespace dbps::model

// The scan's copy of an encoder, beside the same network run operator by operator, and beside the
// rate at which this device multiplies matrices.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <memory>

#include "bench/benchmark.h"
#include "bench/plain_resnet.h"
#include "model/model.h"

namespace dbps::bench {
namespace {

constexpr int64_t kSide = 100;
constexpr int64_t kMatrix = 1024;
constexpr double kAskedOfPlain = 1.6;
constexpr double kAskedOfProducts = 0.85;

model::ModelOptions resnet18() {
  model::ModelOptions options;
  options.encoder.kind = "resnet18";
  model::TaskOptions task;
  task.name = "label";
  task.classes = {"a", "b"};
  options.tasks = {task};
  return options;
}

// Matrix products, counted as the patches whose multiplications they are.
Contender products(const char* name, at::TensorOptions tensor) {
  const at::Tensor a = at::rand({kMatrix, kMatrix}, tensor);
  return {name,
          [a] {
            at::mm(a, a)[0][0].item<double>();  // waits for the device
            return static_cast<double>(kMatrix * kMatrix * kMatrix) / multiply_adds(kSide);
          },
          nullptr};
}

}  // namespace

Report run_scan(const Settings& settings) {
  const c10::NoGradGuard no_grad;
  const at::Device device(at::hasCUDA() ? at::kCUDA : at::kCPU);
  const at::TensorOptions tensor = at::TensorOptions(device).dtype(at::kFloat);
  model::Model model(resnet18(), device, at::kFloat, /*seed=*/0);
  const PlainResnet18 plain(model);
  const at::Tensor patches = at::rand({settings.patches, 3, kSide, kSide}, tensor);
  const auto embedding = [&](const char* name, const auto& embed) {
    return Contender{name,
                     [&embed, &patches] {
                       embed(patches)[0][0].template item<double>();  // waits for the device
                       return static_cast<double>(patches.size(0));
                     },
                     nullptr};
  };
  const auto fp32 = model.encoder().make_scan_copy(at::kFloat);
  const auto bf16 = model.encoder().make_scan_copy(at::kBFloat16);
  const auto by_fp32 = [&](const at::Tensor& x) { return fp32->embed(x); };
  const auto by_bf16 = [&](const at::Tensor& x) { return bf16->embed(x); };
  const auto plainly = [&](const at::Tensor& x) { return plain.embed(x, /*training=*/false); };

  Report report;
  report.of = fmt::format("{} patches of {} x {} through ResNet-18 on {}", settings.patches, kSide,
                          kSide, device.is_cuda() ? "a GPU" : "the CPU");
  for (const int threads : thread_counts(settings)) {
    at::set_num_threads(threads);
    report.comparisons.push_back(
        compare("fp32, " + threads_name(threads), "patches/s", embedding("scan", by_fp32),
                {{embedding("operator by operator", plainly), kAskedOfPlain},
                 {products("SGEMM", tensor), kAskedOfProducts}},
                pacing_of(settings)));
    report.comparisons.push_back(
        compare("bf16, " + threads_name(threads), "patches/s", embedding("scan", by_bf16),
                {{embedding("scan in fp32", by_fp32), 0},
                 {products("matrix products in bf16", tensor.dtype(at::kBFloat16)), 0}},
                pacing_of(settings)));
  }
  report.notes = {
      "the fp32 scan needs fewer multiplications on a CPU than its shapes say, so it can "
      "pass SGEMM"};
  return report;
}

}  // namespace dbps::bench

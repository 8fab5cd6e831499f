#include "training/precision.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "model/encoder.h"
#include "training/stopwatch.h"

namespace dbps::training {
namespace {

constexpr int64_t kMeasuredPatches = 32;
constexpr int kRounds = 3;
constexpr double kWorthIt = 1.2;

at::ScalarType compute_type(Precision precision) {
  return precision == Precision::kBf16 ? at::kBFloat16 : tensor_type(precision);
}

// Of the fastest of some rounds, after one to warm up.
double seconds_of(model::ScanEncoder& encoder, const at::Tensor& patches) {
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round <= kRounds; ++round) {
    const Stopwatch watch;
    encoder.embed(patches).cpu();  // waits for the device
    if (round > 0) best = std::min(best, watch.seconds());
  }
  return best;
}

Precision faster(const config::Config& config, at::Device device) {
  model::EncoderOptions options = config.encoder;
  if (model::reads_vectors(options)) return Precision::kFp32;
  options.weights.clear();
  model::BatchStatistics statistics;
  const std::unique_ptr<model::Encoder> encoder = model::make_encoder(
      options, at::TensorOptions(device).dtype(at::kFloat), config.experiment.seed, statistics);
  const int64_t side = config.data.patch_size;
  const at::Tensor patches = at::rand({kMeasuredPatches, options.channels, side, side},
                                      at::TensorOptions(device).dtype(at::kFloat));
  const double fp32 = seconds_of(*encoder->make_scan_copy(at::kFloat), patches);
  const double bf16 = seconds_of(*encoder->make_scan_copy(at::kBFloat16), patches);
  log::debug("{} patches scanned in {:.4f} s with fp32, {:.4f} s with bf16", kMeasuredPatches, fp32,
             bf16);
  return fp32 > kWorthIt * bf16 ? Precision::kBf16 : Precision::kFp32;
}

}  // namespace

at::ScalarType tensor_type(Precision precision) {
  return precision == Precision::kFp64 ? at::kDouble : at::kFloat;
}

ComputeTypes compute_types(const TrainingOptions& options) {
  const bool same = options.scan_precision == Precision::kSame;
  DBPS_CHECK(options.precision != Precision::kAuto && options.scan_precision != Precision::kAuto,
             "a precision was not resolved");
  return {.scan = compute_type(same ? options.precision : options.scan_precision),
          .pass = compute_type(options.precision)};
}

void resolve_precision(config::Config& config, at::Device device, distributed::World& world) {
  TrainingOptions& options = config.training;
  if (options.precision != Precision::kAuto && options.scan_precision != Precision::kAuto) return;
  std::string answer;
  distributed::all_or_none(world, "measuring precisions", [&] {
    if (world.rank() == 0) answer = faster(config, device) == Precision::kBf16 ? "bf16" : "fp32";
  });
  const Precision found =
      world.broadcast(answer, 0) == "bf16" ? Precision::kBf16 : Precision::kFp32;
  if (options.precision == Precision::kAuto) options.precision = found;
  if (options.scan_precision == Precision::kAuto) options.scan_precision = found;
}

}  // namespace dbps::training

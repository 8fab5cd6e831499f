// The tables [experiment], [training] and [validation].
#pragma once

#include <cstdint>
#include <string>

namespace dbps::training {

// kBf16: of the encoder; everything else stays in fp32.
enum class Precision { kSame, kFp32, kBf16, kFp64, kAuto };

struct ExperimentOptions {
  std::string name;  // the run's folder below output; may hold {seed} {fold} {job}
  int64_t seed = 0;
  std::string output = "runs";
};

struct TrainingOptions {
  std::string initial_weights;  // a whole model, .safetensors or .pth
  bool reset_heads = false;     // with initial_weights: leave the heads as drawn
  int64_t epochs = 0;
  int64_t batch_size_global = 16;
  int64_t micro_batches = 0;  // 0: one a rank, resolved at the start
  Precision precision = Precision::kFp32;
  Precision scan_precision = Precision::kSame;  // as `precision`
  double loss_epsilon = 1e-6;
};

struct ValidationOptions {
  int64_t every_epochs = 1;
  std::string monitor = "accuracy";  // "<metric>" of the first task, "<task>.<metric>", or "loss"
  int64_t patience_epochs = 0;       // 0: off
  int64_t min_epochs = 0;
};

}  // namespace dbps::training

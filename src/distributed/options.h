// The table [distributed].
#pragma once

#include <cstdint>

namespace dbps::distributed {

enum class DeviceKind { kAuto, kCpu, kCuda };
enum class Backend { kAuto, kNccl, kMpi };
enum class Compress { kNone, kBf16 };

struct DistributedOptions {
  DeviceKind device = DeviceKind::kAuto;
  bool share_device = false;  // let several ranks use one GPU
  Backend backend = Backend::kAuto;
  int64_t threads = 0;                  // compute threads a rank; 0: cores / ranks on the host
  int64_t patch_group = 1;              // g: ranks in a row that share each picture
  int64_t check_every = 100;            // steps between checks that all ranks hold equal weights
  Compress compress = Compress::kNone;  // gradients on the wire
  bool tf32 = false;
  bool deterministic = false;  // GPU
  double bucket_mb = 25;
  double deadline_seconds = 600;
};

}  // namespace dbps::distributed

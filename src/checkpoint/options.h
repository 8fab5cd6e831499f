// The table [checkpoint].
#pragma once

#include <cstdint>

namespace dbps::checkpoint {

struct CheckpointOptions {
  int64_t every_epochs = 1;
  int64_t every_steps = 0;   // 0: off
  double every_minutes = 0;  // 0: off
  int64_t keep = 3;          // newest kept besides `best`
};

}  // namespace dbps::checkpoint

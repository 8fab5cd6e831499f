// The table [report].
#pragma once

#include <cstdint>

namespace dbps::report {

struct ReportOptions {
  bool tensorboard = true;
  int64_t maps_per_epoch = 8;
};

}  // namespace dbps::report

// What the benchmarks found, for people and for machines.
#pragma once

#include <string>
#include <vector>

#include "bench/benchmark.h"

namespace dbps::bench {

struct Machine {
  std::string cpu;   // as the kernel names it
  std::string simd;  // the widest that LibTorch uses: "AVX2"
  int cores = 0;     // that this process may run on
  int threads = 0;   // measured with
  int ranks = 1;
};
Machine this_machine(const Settings& settings);

// A table: rates as the median and its quartiles, and the subject's share of each limit.
std::string as_text(const Machine& machine, const std::vector<Report>& reports);
// {"machine", "benchmarks": [{"name", "of", "comparisons": [{"name", "unit", "subject", "limits"}],
// "notes"}]}; a rate is {"name", "median", "low", "high", "rates"}, a limit has "share" (its
// median) and "asked" besides.
std::string as_json(const Machine& machine, const std::vector<Report>& reports);

}  // namespace dbps::bench

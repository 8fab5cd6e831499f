// Progress for people, on standard error: one redrawn line on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace dbps {

// Shows how far a job of `total` items is, its rate and the time left. Not thread-safe.
class Progress {
 public:
  // `unit`: "pictures", "steps". shown = false: says nothing (other ranks, --quiet).
  Progress(std::string label, std::string unit, int64_t total, bool shown);
  ~Progress();  // ends the redrawn line

  // `detail` stands at the end of the line. At most 5 redraws a second, or a plain line every 20 s.
  void update(int64_t done, const std::string& detail = "");
  // Clears the redrawn line, so that a message can be logged.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  std::string unit_;
  int64_t total_;
  bool shown_;
  bool terminal_;
  bool drawn_ = false;
  int64_t first_ = -1;
  Clock::time_point start_;
  Clock::time_point last_;
};

}  // namespace dbps

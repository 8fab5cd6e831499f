// How far a long verb is: one line that is drawn over on a terminal, a plain line now and then
// elsewhere, nothing when quiet. On standard error; any thread may call update.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>

#include "base/log.h"
#include "base/text.h"

namespace dbps::launcher {

class ProgressLine {
 public:
  // `doing`: "ingest", "verify".
  ProgressLine(std::string doing, bool quiet)
      : doing_(std::move(doing)), quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // `amount`: what is done in words ("120 of 400 pictures"); `share`: 0 .. 1.
  void update(const std::string& amount, double share) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto now = Clock::now();
    const double pause = terminal_ ? 0.2 : 10.0;
    if (quiet_ || share <= 0.0 || seconds(last_, now) < pause) return;
    last_ = now;
    const double left = seconds(start_, now) * (1.0 - share) / share;
    const std::string line = fmt::format("{}: {}, {} left", doing_, amount, format_seconds(left));
    if (!terminal_) return log::info("{}", line);
    fmt::print(stderr, "\r\033[K{}", line);
    std::fflush(stderr);
    drawn_ = true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  }

  std::string doing_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  std::mutex mutex_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

}  // namespace dbps::launcher

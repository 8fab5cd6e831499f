// How far a long piece of work is, for people, on standard error: one redrawn line on a terminal,
// a plain line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace dbps {

// Any thread may update.
class Progress {
 public:
  // `doing`: "ingest", "epoch 3 of 30". shown = false (other ranks, --quiet): says nothing.
  Progress(std::string doing, bool shown);
  ~Progress();  // wipes the redrawn line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `amount`: what is done, in words; `share`: of the whole, 0 .. 1. The time left is added.
  void update(const std::string& amount, double share);
  // "120 of 400 pictures, 33 pictures/s, <detail>".
  void update(int64_t done, int64_t total, const std::string& unit, const std::string& detail = "");

 private:
  using Clock = std::chrono::steady_clock;
  double seconds_since_start() const;

  std::string doing_;
  bool shown_;
  bool terminal_;
  std::mutex mutex_;  // guards what follows
  bool drawn_ = false;
  double first_share_ = -1;  // a resumed piece of work does not begin at 0
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

}  // namespace dbps

// Bounds the pixels in memory at one time, whatever the number of threads. A picture larger than
// the whole budget goes alone.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace dbps::ingest {

class PixelBudget {
 public:
  explicit PixelBudget(double pixels) : free_(pixels), all_(pixels) {}

  class Share {
   public:
    Share(PixelBudget& budget, double pixels)
        : budget_(budget), pixels_(std::min(pixels, budget.all_)) {
      std::unique_lock<std::mutex> lock(budget_.mutex_);
      budget_.freed_.wait(lock, [&] { return budget_.free_ >= pixels_; });
      budget_.free_ -= pixels_;
    }
    ~Share() {
      {
        const std::lock_guard<std::mutex> lock(budget_.mutex_);
        budget_.free_ += pixels_;
      }
      budget_.freed_.notify_all();
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    PixelBudget& budget_;
    double pixels_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  double free_;
  double all_;
};

}  // namespace dbps::ingest

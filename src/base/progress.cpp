#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace dbps {
namespace {

constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::milliseconds kPlainLine{10'000};

}  // namespace

Progress::Progress(std::string doing, bool shown)
    : doing_(std::move(doing)), shown_(shown), terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

double Progress::seconds_since_start() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::update(const std::string& amount, double share) {
  const std::scoped_lock lock(mutex_);
  if (first_share_ < 0) first_share_ = share;
  const Clock::time_point now = Clock::now();
  if (!shown_ || now - last_ < (terminal_ ? kRedraw : kPlainLine)) return;
  last_ = now;
  std::string line = fmt::format("{}: {}", doing_, amount);
  if (share > first_share_) {
    const double left = seconds_since_start() * (1 - share) / (share - first_share_);
    line += fmt::format(", {} left", format_seconds(left));
  }
  if (!terminal_) return log::info("{}", line);
  fmt::print(stderr, "\r\033[K{}", line);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::update(int64_t done, int64_t total, const std::string& unit,
                      const std::string& detail) {
  const double share = static_cast<double>(done) / static_cast<double>(total);
  double first = 0;
  {
    const std::scoped_lock lock(mutex_);
    first = first_share_ < 0 ? share : first_share_;
  }
  const double rate = (share - first) * static_cast<double>(total) / seconds_since_start();
  update(fmt::format("{} of {} {}{}{}{}", done, total, unit,
                     rate > 0 ? fmt::format(", {:.3g} {}/s", rate, unit) : "",
                     detail.empty() ? "" : ", ", detail),
         share);
}

}  // namespace dbps

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
constexpr std::chrono::seconds kPlainLine{20};

}  // namespace

Progress::Progress(std::string label, std::string unit, int64_t total, bool shown)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      shown_(shown),
      terminal_(::isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() { clear(); }

void Progress::update(int64_t done, const std::string& detail) {
  if (!shown_) return;
  const Clock::time_point now = Clock::now();
  if (first_ < 0) {
    first_ = done;
    start_ = now;
  }
  if (now - last_ < (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kPlainLine))) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done - first_) / seconds : 0;
  std::string line = fmt::format("{}: {} of {} {}", label_, done, total_, unit_);
  if (rate > 0) {
    line += fmt::format(", {:.3g} {}/s, {} left", rate, unit_,
                        format_seconds(static_cast<double>(total_ - done) / rate));
  }
  if (!detail.empty()) line += ", " + detail;
  if (terminal_) {
    fmt::print(stderr, "\r\x1b[K{}", line);
    std::fflush(stderr);
    drawn_ = true;
  } else {
    log::info("{}", line);
  }
}

void Progress::clear() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace dbps

#include "bench/harness.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace dbps::bench {
namespace {

constexpr double kMostRepeats = 1e6;

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Turn {
  double amount = 0;
  double seconds = 0;

  double rate() const { return amount / seconds; }
};

class Stage {
 public:
  Stage(const Contender& contender, const Pacing& pacing, const std::function<double()>& now)
      : contender_(contender), now_(now) {
    const double once = std::max(turn().seconds, 1e-9);
    const double repeats = std::clamp(std::ceil(pacing.turn_seconds / once), 1.0, kMostRepeats);
    repeats_ = static_cast<int64_t>(repeats);
    if (pacing.most_of_ranks) repeats_ = pacing.most_of_ranks(repeats_);
  }

  Turn turn() const {
    Turn sum;
    for (int64_t i = 0; i < repeats_; ++i) {
      if (contender_.prepare) contender_.prepare();
      const double start = now_();
      sum.amount += contender_.run();
      sum.seconds += now_() - start;
    }
    return sum;
  }

 private:
  const Contender& contender_;
  const std::function<double()>& now_;
  int64_t repeats_ = 1;
};

}  // namespace

Comparison compare(std::string name, std::string unit, const Contender& subject,
                   const std::vector<Limit>& limits, const Pacing& pacing) {
  DBPS_CHECK(pacing.rounds >= 1, "a comparison takes at least one round");
  const std::function<double()> now = pacing.now ? pacing.now : steady_seconds;
  std::vector<Stage> stages = {Stage(subject, pacing, now)};
  for (const Limit& limit : limits) stages.emplace_back(limit.contender, pacing, now);

  Comparison result{std::move(name), std::move(unit), {subject.name, {}}, {}};
  for (const Limit& limit : limits) {
    result.limits.push_back({{limit.contender.name, {}}, {}, limit.asked});
  }
  std::vector<double> rates(stages.size());
  for (int round = 0; round < pacing.rounds; ++round) {
    for (size_t i = 0; i < stages.size(); ++i) {
      const size_t at = round % 2 == 0 ? i : stages.size() - 1 - i;
      rates[at] = stages[at].turn().rate();
    }
    result.subject.rates.push_back(rates[0]);
    for (size_t i = 0; i < limits.size(); ++i) {
      result.limits[i].measured.rates.push_back(rates[i + 1]);
      result.limits[i].shares.push_back(rates[0] / rates[i + 1]);
    }
  }
  return result;
}

Spread spread_of(std::vector<double> values) {
  DBPS_CHECK(!values.empty(), "the spread of nothing");
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const size_t below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {at(0.25), at(0.5), at(0.75)};
}

}  // namespace dbps::bench

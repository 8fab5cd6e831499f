// Rates measured beside their limits, in turns, so that a machine that slows down slows both.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace dbps::bench {

// One way of doing a piece of work.
struct Contender {
  std::string name;
  std::function<double()> run;    // does it once; returns the amount done, in the comparison's unit
  std::function<void()> prepare;  // before each run(), off the clock; may be empty
};

// What the subject is held against.
struct Limit {
  Contender contender;
  double asked = 0;  // share of it that the subject should reach; 0: nothing is asked
};

struct Pacing {
  int rounds = 7;
  double turn_seconds = 0.25;   // a turn runs its contender again and again for about this long
  std::function<double()> now;  // seconds; empty: a steady clock
  std::function<int64_t(int64_t)> most_of_ranks;  // the largest of all ranks, which must run alike;
                                                  // empty: one rank
};

// The rates of one contender, a round each, in units a second.
struct Measured {
  std::string name;
  std::vector<double> rates;
};

struct MeasuredLimit {
  Measured measured;
  std::vector<double> shares;  // subject / limit, a round each
  double asked = 0;
};

struct Comparison {
  std::string name;  // "warm, 2 threads"
  std::string unit;  // "MB/s"
  Measured subject;
  std::vector<MeasuredLimit> limits;
};

// A first run of each is the warm-up and says how often a turn repeats it. Then in each round every
// contender has one turn; odd rounds go backwards. What the contenders throw comes out.
Comparison compare(std::string name, std::string unit, const Contender& subject,
                   const std::vector<Limit>& limits, const Pacing& pacing);

struct Spread {
  double low = 0;  // first quartile
  double median = 0;
  double high = 0;  // third quartile
};
// Of at least one value; between values linearly, as numpy.percentile does.
Spread spread_of(std::vector<double> values);

}  // namespace dbps::bench

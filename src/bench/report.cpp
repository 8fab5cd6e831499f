#include "bench/report.h"

#include <ATen/ATen.h>
#include <ATen/Version.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/parallel.h"
#include "base/text.h"

namespace dbps::bench {
namespace {

using Json = nlohmann::ordered_json;

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    if (trim(line.substr(0, colon)) == "model name") return trim(line.substr(colon + 1));
  }
  return "unknown";
}

// Four figures at least, and no more than mean something.
std::string figure(double value) {
  if (value >= 1000) return fmt::format("{:.0f}", value);
  if (value >= 100) return fmt::format("{:.1f}", value);
  return fmt::format("{:.3f}", value);
}

std::string rate_cells(const Measured& measured) {
  const Spread spread = spread_of(measured.rates);
  return fmt::format("{:>10}  {:>19}", figure(spread.median),
                     fmt::format("{} .. {}", figure(spread.low), figure(spread.high)));
}

std::string share_cells(const MeasuredLimit& limit) {
  const double share = spread_of(limit.shares).median;
  if (limit.asked == 0) return fmt::format("{:>6.3f}", share);
  return fmt::format("{:>6.3f}  {:>5.2f}{}", share, limit.asked,
                     share < limit.asked ? "  below" : "");
}

size_t widest_name(const std::vector<Report>& reports) {
  size_t width = 0;
  for (const Report& report : reports) {
    for (const Comparison& comparison : report.comparisons) {
      width = std::max(width, comparison.subject.name.size());
      for (const MeasuredLimit& limit : comparison.limits) {
        width = std::max(width, limit.measured.name.size());
      }
    }
  }
  return width;
}

Json rate_json(const Measured& measured) {
  const Spread spread = spread_of(measured.rates);
  return {{"name", measured.name},
          {"median", spread.median},
          {"low", spread.low},
          {"high", spread.high},
          {"rates", measured.rates}};
}

Json comparison_json(const Comparison& comparison) {
  Json limits = Json::array();
  for (const MeasuredLimit& limit : comparison.limits) {
    Json json = rate_json(limit.measured);
    json["share"] = spread_of(limit.shares).median;
    if (limit.asked > 0) json["asked"] = limit.asked;
    limits.push_back(std::move(json));
  }
  return {{"name", comparison.name},
          {"unit", comparison.unit},
          {"subject", rate_json(comparison.subject)},
          {"limits", std::move(limits)}};
}

}  // namespace

Machine this_machine(const Settings& settings) {
  return {cpu_name(), at::get_cpu_capability(), available_cores(), settings.threads,
          settings.num_ranks()};
}

std::string as_text(const Machine& machine, const std::vector<Report>& reports) {
  std::string text = fmt::format("{} ({}), {} core{}; {}", machine.cpu, machine.simd, machine.cores,
                                 machine.cores == 1 ? "" : "s", threads_name(machine.threads));
  text += machine.ranks > 1 ? fmt::format(" on each of {} ranks\n", machine.ranks) : "\n";
  const size_t width = widest_name(reports);
  for (const Report& report : reports) {
    text += fmt::format("\n{}: {}\n", report.name, report.of);
    for (const Comparison& comparison : report.comparisons) {
      text += fmt::format("  {:<{}}{:>10}  {:>19}  {:>6}  {:>5}\n", comparison.name, width + 2,
                          comparison.unit, "quartiles", "share", "asked");
      text += fmt::format("    {:<{}}{}\n", comparison.subject.name, width,
                          rate_cells(comparison.subject));
      for (const MeasuredLimit& limit : comparison.limits) {
        text += fmt::format("    {:<{}}{}  {}\n", limit.measured.name, width,
                            rate_cells(limit.measured), share_cells(limit));
      }
    }
    for (const std::string& note : report.notes) text += fmt::format("  {}\n", note);
  }
  return text;
}

std::string as_json(const Machine& machine, const std::vector<Report>& reports) {
  Json all = Json::array();
  for (const Report& report : reports) {
    Json comparisons = Json::array();
    for (const Comparison& comparison : report.comparisons) {
      comparisons.push_back(comparison_json(comparison));
    }
    all.push_back({{"name", report.name},
                   {"of", report.of},
                   {"comparisons", std::move(comparisons)},
                   {"notes", report.notes}});
  }
  return Json{{"machine",
               {{"cpu", machine.cpu},
                {"simd", machine.simd},
                {"cores", machine.cores},
                {"threads", machine.threads},
                {"ranks", machine.ranks}}},
              {"benchmarks", std::move(all)}}
      .dump();
}

}  // namespace dbps::bench

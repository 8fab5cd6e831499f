#include "launcher/ingestion.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace dbps::launcher {
namespace {

nlohmann::json to_json(const ingest::Summary& summary, const ingest::SourceList& sources) {
  nlohmann::json failed = nlohmann::json::array();
  for (const ingest::FailedSource& source : summary.failed) {
    failed.push_back(
        {{"id", source.id}, {"path", source.path.string()}, {"reason", source.reason}});
  }
  return {{"kept", summary.kept},
          {"skipped", summary.skipped},
          {"failed", failed},
          {"passed_over", sources.passed_over},
          {"source_bytes", summary.source_bytes},
          {"stored_bytes", summary.stored_bytes},
          {"modes", summary.modes},
          {"labels_added", summary.labels_added},
          {"seconds", summary.seconds}};
}

void print(const ingest::Summary& summary, const std::string& store, const std::string& thing) {
  constexpr size_t kShown = 10;
  for (size_t i = 0; i < std::min(kShown, summary.failed.size()); ++i) {
    log::warning("left out: {}", summary.failed[i].reason);
  }
  if (summary.failed.size() > kShown) {
    log::warning("left out: and {} more: {}/failed.csv", summary.failed.size() - kShown, store);
  }
  fmt::print("{}: {}, {} read, {} stored, in {} ({:.3g} {}s/s)\n", store,
             counted(summary.kept, "new " + thing),
             format_bytes(static_cast<double>(summary.source_bytes)),
             format_bytes(static_cast<double>(summary.stored_bytes)),
             format_seconds(summary.seconds),
             static_cast<double>(summary.kept) / std::max(summary.seconds, 1e-3), thing);
  for (const auto& [mode, count] : summary.modes) fmt::print("  {} of them: {}\n", count, mode);
  if (summary.labels_added > 0) {
    fmt::print("labels.csv: {} added\n", counted(summary.labels_added, "row"));
  }
  fmt::print("kept {}, skipped {} (in the store already), failed {}{}\n", summary.kept,
             summary.skipped, summary.failed.size(),
             summary.failed.empty() ? "" : fmt::format(" (listed in {}/failed.csv)", store));
}

}  // namespace

std::optional<ingest::Summary> make_parts(ingest::Ingestion& ingestion, distributed::World* world) {
  if (world == nullptr || world->world_size() == 1) {
    ingestion.make({});
    return ingestion.finish({});
  }
  ingestion.make(world->all_gather(ingestion.present()));
  const std::vector<std::string> parts = world->all_gather(ingestion.part());
  std::optional<ingest::Summary> summary;
  if (world->rank() == 0) summary = ingestion.finish(parts);
  world->barrier();
  return summary;
}

void tell(const ingest::Summary& summary, const ingest::SourceList& sources, const Filled& filled,
          const Context& context) {
  if (context.json) {
    // A name that is not UTF-8 is one of the reasons to be left out.
    constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
    fmt::print("{}\n", to_json(summary, sources).dump(-1, ' ', false, kReplace));
  } else {
    print(summary, filled.store, filled.thing);
  }
  if (summary.kept + summary.skipped == 0) {
    throw DataError(fmt::format("none of the {}s of {} could be kept; reasons in {}/failed.csv",
                                filled.thing, filled.source, filled.store));
  }
  if (filled.strict && !summary.failed.empty()) {
    throw DataError(fmt::format("--strict: {} failed; reasons in {}/failed.csv",
                                counted(static_cast<int64_t>(summary.failed.size()), filled.thing),
                                filled.store));
  }
}

}  // namespace dbps::launcher

// `dbps checkpoints RUN`
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "launcher/verbs/verbs.h"
#include "training/trained_model.h"

namespace dbps::launcher {
namespace {

constexpr const char* kHelp =
    R"(Lists a run's checkpoints, oldest first, and holds every byte against their checksums. Changes
nothing; a run may be writing meanwhile. Exits 65 when one is damaged: a resumed run uses the newest
that is whole.

Examples:
  dbps checkpoints runs/demo-0
  dbps checkpoints runs/demo-0 --json)";

std::string marks(const checkpoint::Listing& listing) {
  return fmt::format("{}{}", listing.latest ? " latest" : "", listing.best ? " best" : "");
}

void print(const std::vector<checkpoint::Listing>& listings, bool json) {
  for (const checkpoint::Listing& listing : listings) {
    if (json) {
      fmt::print("{}\n", nlohmann::json{{"name", listing.name},
                                        {"step", listing.step},
                                        {"bytes", listing.bytes},
                                        {"latest", listing.latest},
                                        {"best", listing.best},
                                        {"damage", listing.damage}}
                             .dump());
    } else {
      fmt::print("{}  {:>9}  {}{}\n", listing.name,
                 format_bytes(static_cast<double>(listing.bytes)),
                 listing.damage.empty() ? "whole" : "damaged", marks(listing));
      if (!listing.damage.empty()) fmt::print("  {}\n", listing.damage);
    }
  }
}

void run(const std::string& folder, const Context& context) {
  if (!training::is_run(folder)) throw ConfigError(fmt::format("{} is not a run's folder", folder));
  const std::vector<checkpoint::Listing> listings = checkpoint::Manager(folder, /*keep=*/1).list();
  print(listings, context.json);
  const auto damaged = std::count_if(listings.begin(), listings.end(),
                                     [](const auto& listing) { return !listing.damage.empty(); });
  if (damaged > 0) {
    throw DataError(fmt::format("damaged: {} of {} of {}", damaged,
                                counted(static_cast<int64_t>(listings.size()), "checkpoint"),
                                folder));
  }
}

}  // namespace

void add_checkpoints(CLI::App& app, Context& context) {
  auto folder = std::make_shared<std::string>();
  app.footer(kHelp);
  app.add_option("RUN", *folder, "A run's folder")->required();
  app.callback([folder, &context] { run(*folder, context); });
}

}  // namespace dbps::launcher

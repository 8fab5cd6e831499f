#include "store/verify.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "launcher/verbs/verbs.h"

namespace dbps::launcher {
namespace {

constexpr const char* kHelp = R"(Reads every byte of a store and checks every checksum.

Says which bags are damaged and what they were made from. Repair: the same `dbps ingest SOURCE STORE`
again makes what is damaged anew and keeps the rest. Exit code 65 when anything is damaged
or cannot be opened.

Examples:
  dbps verify store/
  dbps verify store/ --jobs 8 --json)";

struct Arguments {
  std::string store;
  int jobs = 0;
};

nlohmann::json to_json(const store::Verification& verification) {
  nlohmann::json damages = nlohmann::json::array();
  for (const store::Damage& damage : verification.damages) {
    damages.push_back({{"file", damage.file},
                       {"bag", damage.bag},
                       {"source", damage.source},
                       {"what", damage.what}});
  }
  return {{"shards", verification.shards},
          {"bags", verification.bags},
          {"tiles", verification.tiles},
          {"bytes", verification.bytes},
          {"damages", damages}};
}

int64_t num_damaged(const store::Verification& verification) {
  return std::count_if(verification.damages.begin(), verification.damages.end(),
                       [](const store::Damage& damage) { return damage.is_open; });
}

void print(const store::Verification& verification) {
  for (const store::Damage& damage : verification.damages) {
    if (!damage.is_open) {
      fmt::print("{}\n", damage.what);
    } else if (damage.bag.empty()) {
      fmt::print("damaged: {} ({})\n", damage.file, damage.what);
    } else {
      fmt::print("damaged: {} in {} ({}); made from {}\n", damage.bag, damage.file, damage.what,
                 damage.source);
    }
  }
  fmt::print("{}, {}, {}: {}\n", counted(verification.shards, "shard"),
             counted(verification.bags, "bag"),
             format_bytes(static_cast<double>(verification.bytes)),
             verification.damages.empty()    ? "every checksum holds"
             : num_damaged(verification) > 0 ? "damaged"
                                             : "not all could be read");
}

void run(const Arguments& arguments, const Context& context) {
  // Threads share the work; on many ranks the first does it.
  if (context.world != nullptr && context.world->rank() > 0) return;
  store::Verification verification;
  {
    dbps::Progress line("verify", !context.quiet);
    const int jobs = arguments.jobs > 0 ? arguments.jobs : available_cores();
    verification = store::verify(arguments.store, jobs, [&](uint64_t done, uint64_t total) {
      line.update(fmt::format("{} of {}", format_bytes(static_cast<double>(done)),
                              format_bytes(static_cast<double>(total))),
                  static_cast<double>(done) / static_cast<double>(total));
    });
  }
  if (context.json) {
    fmt::print("{}\n", to_json(verification).dump());
  } else {
    print(verification);
  }
  if (verification.damages.empty()) return;
  const int64_t damaged = num_damaged(verification);
  if (damaged > 0) {
    throw DataError(fmt::format("{} is damaged in {}: run the same `dbps ingest SOURCE {}` again",
                                arguments.store, counted(damaged, "place"), arguments.store));
  }
  throw DataError(fmt::format("{} of {} cannot be opened: whether they are whole is not known",
                              counted(static_cast<int64_t>(verification.damages.size()), "shard"),
                              arguments.store));
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  app.footer(kHelp);
  app.add_option("STORE", arguments->store, "The store's folder")->required();
  app.add_option("--jobs", arguments->jobs, "Threads; 0: one a core")->capture_default_str();
  app.callback([arguments, &context] { run(*arguments, context); });
}

}  // namespace dbps::launcher

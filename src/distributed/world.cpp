#include "distributed/world.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <exception>

#include "base/error.h"
#include "distributed/host.h"
#include "distributed/launch.h"
#include "distributed/mpi_world.h"
#include "distributed/single_world.h"

namespace dbps::distributed {

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown host";
}

std::unique_ptr<World> make_world() {
  const Launch launch = read_launch([](const char* name) { return std::getenv(name); });
  std::unique_ptr<World> world;
  if (launch.by_mpi) {
    world = std::make_unique<MpiWorld>();
  } else {
    world = std::make_unique<SingleWorld>();
  }
  check_launch(launch, world->world_size());
  return world;
}

void all_or_none(World& world, const std::string& what, const std::function<void()>& work) {
  std::exception_ptr own;
  std::string report;  // "65 message", or empty when all went well
  try {
    work();
  } catch (const Error& error) {
    own = std::current_exception();
    report = fmt::format("{} {}", static_cast<int>(error.code()), error.what());
  } catch (const std::exception& error) {
    own = std::current_exception();
    report = fmt::format("{} {}", static_cast<int>(ExitCode::kInternal), error.what());
  }
  const std::vector<std::string> reports = world.all_gather(report);
  if (own) std::rethrow_exception(own);
  const auto failed =
      std::find_if(reports.begin(), reports.end(), [](const auto& one) { return !one.empty(); });
  if (failed == reports.end()) return;

  int code = 0;
  const auto [end, ignored] =
      std::from_chars(failed->data(), failed->data() + failed->size(), code);
  // A library's message may go on with a stack trace.
  const std::string message(end + 1, std::find(end + 1, failed->data() + failed->size(), '\n'));
  throw Error(static_cast<ExitCode>(code),
              fmt::format("{} failed on rank {}: {}", what, failed - reports.begin(), message));
}

}  // namespace dbps::distributed

#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/error.h"

namespace dbps::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// spdlog keeps the process's logger; this name is how we find ours in its registry.
constexpr const char* kLoggerName = "dbps";

std::shared_ptr<spdlog::logger> logger() {
  if (auto found = spdlog::get(kLoggerName)) return found;
  auto made = spdlog::stderr_logger_mt(kLoggerName);
  made->set_pattern("%v");
  return made;
}

}  // namespace

void set_up(Level level, const std::string& prefix) {
  auto ours = logger();
  ours->set_level(to_spdlog(level));
  ours->set_pattern(prefix + "%v");
  ours->flush_on(spdlog::level::debug);
}

void also_to_file(const std::string& path) {
  auto ours = logger();
  auto& sinks = ours->sinks();
  sinks.resize(1);
  if (path.empty()) return;
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, /*truncate=*/false);
    sink->set_pattern("%Y-%m-%dT%H:%M:%S%z %l %v");
    sinks.push_back(sink);
  } catch (const spdlog::spdlog_ex& error) {
    throw RuntimeFault(fmt::format("cannot write the log {}: {}", path, error.what()));
  }
}

void write(Level level, const std::string& message) {
  if (level == Level::kWarning) {
    logger()->log(to_spdlog(level), "warning: {}", message);
  } else if (level == Level::kError) {
    logger()->log(to_spdlog(level), "error: {}", message);
  } else {
    logger()->log(to_spdlog(level), message);
  }
}

}  // namespace dbps::log

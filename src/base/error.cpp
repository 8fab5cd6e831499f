#include "base/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace dbps {

std::string errno_message(const std::string& what) {
  return fmt::format("{}: {}", what, std::strerror(errno));
}

namespace internal {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  throw Error(ExitCode::kInternal, fmt::format("{} (internal check {} failed at {}:{})", message,
                                               condition, file, line));
}

}  // namespace internal
}  // namespace dbps

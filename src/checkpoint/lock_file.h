// How RunLock claims its file: by a lock that the kernel ends with the process, or, where the file
// system has none, by being the one that created it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

#include "base/files.h"

namespace dbps::checkpoint {

struct Holder {
  std::string host;
  pid_t process = 0;
  std::string job;  // the scheduler's, or "-"
};

std::string to_text(const Holder& holder);  // "host process job\n"
std::optional<Holder> parse_holder(const std::string& text);

// A descriptor that holds the lock, or an empty one when the file system knows no locks. Throws
// ConfigError naming the holder when another process has it, RuntimeFault when the disk fails.
FileDescriptor claim_by_lock(const std::filesystem::path& path, const Holder& holder);

// The same by exclusive creation. A file left by a process of this host that is gone is taken
// over.
FileDescriptor claim_by_creation(const std::filesystem::path& path, const Holder& holder);

}  // namespace dbps::checkpoint

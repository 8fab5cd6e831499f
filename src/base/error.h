// The kinds of failure a user can meet, each with the exit code it ends the program with.
//
// Throw one of these with a message that names the file, key, bag or rank and says what to do; only
// main catches. A message is one line.
#pragma once

#include <stdexcept>
#include <string>

namespace dbps {

enum class ExitCode : int {
  kDone = 0,
  kConfiguration = 64,  // wrong command or configuration
  kBadData = 65,        // a file's content is wrong
  kInternal = 70,       // a defect, or the environment: disk, device memory, MPI
  kStopped = 75,        // stopped by a signal after saving; start again to go on
  kNoProgress = 124,    // the watchdog ended the process
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// A command or configuration that cannot be carried out; names the key.
class ConfigError : public Error {
 public:
  explicit ConfigError(const std::string& message) : Error(ExitCode::kConfiguration, message) {}
};

// A file whose content is wrong: a picture, a shard, a checkpoint, a CSV; names the file.
class DataError : public Error {
 public:
  explicit DataError(const std::string& message) : Error(ExitCode::kBadData, message) {}
};

// The environment failed: disk, device memory, MPI, another process.
class RuntimeFault : public Error {
 public:
  explicit RuntimeFault(const std::string& message) : Error(ExitCode::kInternal, message) {}
};

// All ranks have saved after a signal; the run can be resumed.
class Stopped : public Error {
 public:
  explicit Stopped(const std::string& message) : Error(ExitCode::kStopped, message) {}
};

// "cannot open /data/a.png: No such file or directory", from errno.
std::string errno_message(const std::string& what);

namespace internal {
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& message);
}

}  // namespace dbps

// An invariant of the program itself, kept in release builds. Throws Error with exit code 70.
#define DBPS_CHECK(condition, message)                                           \
  do {                                                                           \
    if (!(condition)) {                                                          \
      ::dbps::internal::check_failed(__FILE__, __LINE__, #condition, (message)); \
    }                                                                            \
  } while (false)

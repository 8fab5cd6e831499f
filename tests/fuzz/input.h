// What the fuzzing targets share: the input as a file, and which refusals are right ones.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>

#include "base/error.h"
#include "base/files.h"

namespace dbps::fuzz {

// A file in memory that holds the input; gone with the object, also when the process dies.
class InputFile {
 public:
  explicit InputFile(std::span<const uint8_t> bytes) : file_(::memfd_create("input", MFD_CLOEXEC)) {
    write_exactly(file_.get(), bytes.data(), bytes.size(), path());
  }
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(file_.get()); }

 private:
  FileDescriptor file_;
};

// Runs `read`. A file of others may be refused as configuration or data in one line; whatever else
// is thrown, an internal check included, is a finding.
template <typename Read>
void refused_or_read(Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kConfiguration && error.code() != ExitCode::kBadData) throw;
  }
}

}  // namespace dbps::fuzz

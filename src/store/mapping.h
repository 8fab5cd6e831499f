// A part of a file, mapped into memory to be read.
//
// Where such a file is cut short by another program, or its disk fails, reading it raises SIGBUS,
// which ends a process without a word. The first mapping installs a handler: it writes one line
// that names the file and ends with ExitCode::kBadData. A SIGBUS elsewhere goes to the handler that
// was there before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace dbps::store {

// Owns the mapping; copies share it. Immutable; any thread may read.
class Mapping {
 public:
  Mapping() = default;
  // `offset`: a multiple of the page size. Throws DataError naming the file.
  Mapping(const std::filesystem::path& path, int fd, uint64_t offset, size_t bytes);

  const uint8_t* data() const { return mapped_.get(); }
  // Gives back the memory of what was read so far; it comes back from the file.
  void forget() const;

 private:
  std::shared_ptr<uint8_t> mapped_;
  size_t bytes_ = 0;
};

}  // namespace dbps::store

// The folder of a node that holds local copies of stores, of this run and of others.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"

namespace dbps::store {

inline constexpr const char* kCopyPrefix = "dbps-copy-";  // begins the names of copies' folders
inline constexpr const char* kInUse = "in-use";           // the file in each that its runs lock

class Scratch {
 public:
  // `place` begins the messages: "host: data.stage_dir = /scratch". Touches nothing.
  Scratch(const std::filesystem::path& folder, std::string place);

  // Creates the folder, but not its parents, and waits until nobody else makes room in it; the
  // others wait until this is destroyed. Throws RuntimeFault.
  void lock();
  // Throws RuntimeFault with both figures when `bytes` do not fit, even without the copies that no
  // run reads from.
  void check_room(uint64_t bytes) const;
  // The same, and removes copies that no run reads from, the longest unused first, until they fit.
  // Returns the folders removed. After lock().
  std::vector<std::filesystem::path> make_room(uint64_t bytes);

 private:
  struct Unused;
  uint64_t free_bytes() const;
  std::vector<Unused> unused_copies() const;

  std::filesystem::path folder_;
  std::string place_;
  FileDescriptor lock_;
};

}  // namespace dbps::store

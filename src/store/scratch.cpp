#include "store/scratch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;

uint64_t bytes_on_disk(const fs::path& folder) {
  uint64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    struct stat status {};
    if (::stat(entry.path().c_str(), &status) == 0) {
      bytes += static_cast<uint64_t>(status.st_blocks) * 512;
    }
  }
  return bytes;
}

std::string words(uint64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

}  // namespace

struct Scratch::Unused {
  fs::path folder;
  uint64_t bytes = 0;
  fs::file_time_type last_used;
  FileDescriptor lock;
};

Scratch::Scratch(const fs::path& folder, std::string place)
    : folder_(fs::absolute(folder)), place_(std::move(place)) {}

void Scratch::lock() {
  std::error_code error;
  fs::create_directory(folder_, error);
  if (!fs::is_directory(folder_)) {
    throw RuntimeFault(fmt::format("{} cannot be made ({}): name a folder of a local disk", place_,
                                   error ? error.message() : "it is no folder"));
  }
  const fs::path path = folder_ / "dbps.lock";
  lock_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!lock_ || ::flock(lock_.get(), LOCK_EX) != 0) {
    throw RuntimeFault(errno_message(fmt::format("{} cannot be locked", place_)));
  }
}

uint64_t Scratch::free_bytes() const {
  struct statvfs status {};
  const fs::path there = fs::is_directory(folder_) ? folder_ : folder_.parent_path();
  if (::statvfs(there.c_str(), &status) != 0) throw RuntimeFault(errno_message(place_));
  return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

std::vector<Scratch::Unused> Scratch::unused_copies() const {
  std::vector<Unused> unused;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    const fs::path path = entry.path() / kInUse;
    if (!entry.path().filename().string().starts_with(kCopyPrefix)) continue;
    FileDescriptor lock(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
    unused.push_back({entry.path(), bytes_on_disk(entry.path()), fs::last_write_time(path, ignored),
                      std::move(lock)});
  }
  std::sort(unused.begin(), unused.end(),
            [](const Unused& a, const Unused& b) { return a.last_used < b.last_used; });
  return unused;
}

void Scratch::check_room(uint64_t bytes) const {
  const uint64_t free = free_bytes();
  if (bytes <= free) return;
  uint64_t removable = 0;
  for (const Unused& copy : unused_copies()) removable += copy.bytes;
  if (bytes <= free + removable) return;
  throw RuntimeFault(fmt::format(
      "{} is too small: this node's share of the store needs {} more and {} are free{}; nothing "
      "was "
      "copied: make room, name another folder, or take more nodes",
      place_, words(bytes), words(free),
      removable > 0 ? fmt::format(" ({} more in copies that no run reads)", words(removable))
                    : ""));
}

std::vector<fs::path> Scratch::make_room(uint64_t bytes) {
  DBPS_CHECK(static_cast<bool>(lock_), "room is made by one at a time");
  check_room(bytes);
  std::vector<fs::path> removed;
  if (bytes <= free_bytes()) return removed;
  for (const Unused& copy : unused_copies()) {
    if (bytes <= free_bytes()) break;
    std::error_code error;
    fs::remove_all(copy.folder, error);
    if (error) {
      throw RuntimeFault(
          fmt::format("cannot remove {}: {}", copy.folder.string(), error.message()));
    }
    removed.push_back(copy.folder);
  }
  return removed;
}

}  // namespace dbps::store

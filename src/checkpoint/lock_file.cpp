#include "checkpoint/lock_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "base/error.h"
#include "base/files.h"

namespace dbps::checkpoint {
namespace {

namespace fs = std::filesystem;

// A holder's text that cannot be read counts as absent: it is on its way in or out.
std::optional<Holder> holder_of(const fs::path& path) {
  try {
    return parse_holder(read_text_file(path));
  } catch (const DataError&) {
    return std::nullopt;
  }
}

[[noreturn]] void refuse(const fs::path& path, const std::optional<Holder>& holder,
                         const std::string& hint) {
  const std::string who =
      holder ? fmt::format("process {} on {} (job {})", holder->process, holder->host, holder->job)
             : "another process";
  throw ConfigError(
      fmt::format("{} writes into this run's folder: {} is held; {}", who, path.string(), hint));
}

[[noreturn]] void fail(const std::string& what, const fs::path& path) {
  throw RuntimeFault(errno_message(fmt::format("cannot {} {}", what, path.string())));
}

// Whether the name still leads to the open file: its last holder may have removed it meanwhile.
bool is_still_named(int fd, const fs::path& path) {
  struct stat opened {
  }, named{};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

void write_holder(int fd, const fs::path& path, const Holder& holder) {
  if (::ftruncate(fd, 0) != 0) fail("write", path);
  const std::string text = to_text(holder);
  write_exactly(fd, text.data(), text.size(), path);
  if (::fsync(fd) != 0) fail("write", path);
}

bool is_gone(const Holder& holder, const Holder& us) {
  return holder.host == us.host && ::kill(holder.process, 0) != 0 && errno == ESRCH;
}

}  // namespace

std::string to_text(const Holder& holder) {
  return fmt::format("{} {} {}\n", holder.host, holder.process, holder.job);
}

std::optional<Holder> parse_holder(const std::string& text) {
  Holder holder;
  std::istringstream words(text);
  if (words >> holder.host >> holder.process >> holder.job) return holder;
  return std::nullopt;
}

FileDescriptor claim_by_lock(const fs::path& path, const Holder& holder) {
  while (true) {
    FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (!file) fail("open", path);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) {
        refuse(path, holder_of(path), "wait for it, or give this run another name");
      }
      if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP) return {};
      fail("lock", path);
    }
    if (!is_still_named(file.get(), path)) continue;
    write_holder(file.get(), path, holder);
    return file;
  }
}

FileDescriptor claim_by_creation(const fs::path& path, const Holder& holder) {
  while (true) {
    FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file) {
      write_holder(file.get(), path, holder);
      return file;
    }
    if (errno != EEXIST) fail("create", path);
    const std::optional<Holder> other = holder_of(path);
    if (!other || !is_gone(*other, holder)) {
      refuse(path, other, "if that process is gone, remove the file");
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail("remove", path);
  }
}

}  // namespace dbps::checkpoint

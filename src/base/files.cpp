#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"

namespace dbps {

namespace fs = std::filesystem;

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

FileDescriptor::~FileDescriptor() { close(); }

void FileDescriptor::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

FileDescriptor open_for_reading(const fs::path& path) {
  // Without waiting for somebody to write into a pipe.
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw DataError(errno_message(fmt::format("cannot open {}", path.string())));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    throw DataError(errno_message(fmt::format("cannot read {}", path.string())));
  }
  if (!S_ISREG(status.st_mode)) {
    throw DataError(fmt::format("cannot read {}: it is {}", path.string(),
                                S_ISDIR(status.st_mode) ? "a folder" : "no regular file"));
  }
  return file;
}

uint64_t file_bytes(const FileDescriptor& file, const fs::path& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    throw DataError(errno_message(fmt::format("cannot read {}", path.string())));
  }
  return static_cast<uint64_t>(status.st_size);
}

std::vector<uint8_t> read_file(const fs::path& path) {
  const FileDescriptor file = open_for_reading(path);
  std::vector<uint8_t> content(file_bytes(file, path));
  pread_exactly(file.get(), content.data(), content.size(), 0, path);
  return content;
}

std::string read_text_file(const fs::path& path) {
  const std::vector<uint8_t> content = read_file(path);
  return std::string(content.begin(), content.end());
}

void pread_exactly(int fd, void* buffer, size_t size, uint64_t offset, const fs::path& path) {
  auto* bytes = static_cast<char*>(buffer);
  const size_t wanted = size;
  while (size > 0) {
    const ssize_t got = ::pread(fd, bytes, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw DataError(errno_message(fmt::format("cannot read {}", path.string())));
    if (got == 0) {
      throw DataError(fmt::format("{} is truncated: it ends {} bytes into a read of {}",
                                  path.string(), wanted - size, wanted));
    }
    bytes += got;
    size -= static_cast<size_t>(got);
    offset += static_cast<uint64_t>(got);
  }
}

void write_exactly(int fd, const void* data, size_t size, const fs::path& path) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      throw RuntimeFault(errno_message(fmt::format("cannot write {}", path.string())));
    }
    bytes += written;
    size -= static_cast<size_t>(written);
  }
}

void pwrite_exactly(int fd, const void* data, size_t size, uint64_t offset, const fs::path& path) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::pwrite(fd, bytes, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      throw RuntimeFault(errno_message(fmt::format("cannot write {}", path.string())));
    }
    bytes += written;
    size -= static_cast<size_t>(written);
    offset += static_cast<uint64_t>(written);
  }
}

void write_file_atomic(const fs::path& path, std::string_view content) {
  write_file_atomic(path, [content](const Append& append) { append(content); });
}

void write_file_atomic(const fs::path& path, std::span<const uint8_t> content) {
  write_file_atomic(
      path, std::string_view(reinterpret_cast<const char*>(content.data()), content.size()));
}

void write_file_atomic(const fs::path& path, const std::function<void(const Append&)>& make) {
  make_file_atomic(path, [&make](const fs::path& temporary) {
    const FileDescriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!file)
      throw RuntimeFault(errno_message(fmt::format("cannot write {}", temporary.string())));
    make([&](std::string_view piece) {
      write_exactly(file.get(), piece.data(), piece.size(), temporary);
    });
  });
}

void make_file_atomic(const fs::path& path, const std::function<void(const fs::path&)>& make) {
  const fs::path temporary = path.string() + fmt::format(".tmp-{}", ::getpid());
  try {
    make(temporary);
    const FileDescriptor file(::open(temporary.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || ::fsync(file.get()) != 0) {
      throw RuntimeFault(errno_message(fmt::format("cannot sync {}", temporary.string())));
    }
    rename_into_place(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void rename_into_place(const fs::path& temporary, const fs::path& path) {
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    throw RuntimeFault(errno_message(fmt::format("cannot rename to {}", path.string())));
  }
  sync_folder(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void sync_folder(const fs::path& folder) {
  const FileDescriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // EINVAL: some network file systems cannot sync a folder and need no such call.
  if (!file || (::fsync(file.get()) != 0 && errno != EINVAL)) {
    throw RuntimeFault(errno_message(fmt::format("cannot sync the folder {}", folder.string())));
  }
}

void check_folder_of(const fs::path& file) {
  std::error_code ignored;
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, ignored)) {
    throw ConfigError(fmt::format("{} cannot be written: the folder {} is not there; make it first",
                                  file.string(), folder.string()));
  }
  if (fs::is_directory(file, ignored)) {
    throw ConfigError(fmt::format("{} cannot be written: it is a folder", file.string()));
  }
}

void make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw RuntimeFault(
        fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
  }
}

}  // namespace dbps

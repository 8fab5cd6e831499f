// Files that are whole or absent, and descriptors that close themselves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbps {

// Owns a POSIX descriptor. Movable, not copyable.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void close();

 private:
  int fd_ = -1;
};

// Throw DataError when the file cannot be opened or read, or is no regular file; the message names
// it.
FileDescriptor open_for_reading(const std::filesystem::path& path);
uint64_t file_bytes(const FileDescriptor& file, const std::filesystem::path& path);  // its size
std::vector<uint8_t> read_file(const std::filesystem::path& path);
std::string read_text_file(const std::filesystem::path& path);

// Reads exactly `size` bytes at `offset`; thread-safe. Throws DataError naming `path` when the file
// ends before that (truncated) or the disk fails.
void pread_exactly(int fd, void* buffer, size_t size, uint64_t offset,
                   const std::filesystem::path& path);

// Writes all bytes or throws RuntimeFault naming `path`.
void write_exactly(int fd, const void* data, size_t size, const std::filesystem::path& path);
// The same at `offset`; thread-safe.
void pwrite_exactly(int fd, const void* data, size_t size, uint64_t offset,
                    const std::filesystem::path& path);

// Temporary name beside it, fsync, rename, fsync of the folder. Throws RuntimeFault.
void write_file_atomic(const std::filesystem::path& path, std::string_view content);
void write_file_atomic(const std::filesystem::path& path, std::span<const uint8_t> content);
// The same for a file that is not in memory as a whole: make() appends it piece by piece.
using Append = std::function<void(std::string_view piece)>;
void write_file_atomic(const std::filesystem::path& path,
                       const std::function<void(const Append& append)>& make);
// The same for a library that writes to a name: make() gets the temporary one.
void make_file_atomic(const std::filesystem::path& path,
                      const std::function<void(const std::filesystem::path& temporary)>& make);

// Gives a file that is written and synced its name, in place of what has it, so that it stays after
// a crash. Throws RuntimeFault.
void rename_into_place(const std::filesystem::path& temporary, const std::filesystem::path& path);

// fsync of a folder, so that a rename or a new file in it survives a crash. Throws RuntimeFault.
void sync_folder(const std::filesystem::path& folder);

// For a file that a person has named to be written: throws ConfigError when its folder is not there
// or it is a folder itself.
void check_folder_of(const std::filesystem::path& file);

// Creates a folder and its parents. Throws RuntimeFault with the reason.
void make_folders(const std::filesystem::path& folder);

}  // namespace dbps

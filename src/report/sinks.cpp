#include "report/sinks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <functional>

#include "base/crc32c.h"
#include "base/error.h"

namespace dbps::report {

namespace fs = std::filesystem;

namespace {

constexpr size_t kFrameHead = 12;  // length (8), its checksum (4)
constexpr size_t kFrameTail = 4;   // checksum of the data
constexpr char kEventFilePrefix[] = "events.out.tfevents.";

FileDescriptor open_for_appending(const fs::path& path) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!file) throw RuntimeFault(errno_message(fmt::format("cannot write {}", path.string())));
  return file;
}

// Cuts the file to keep_bytes, or where that is negative to what `whole_bytes` says of its content.
int64_t cut(int fd, int64_t keep_bytes, const fs::path& path,
            const std::function<size_t(const std::vector<uint8_t>&)>& whole_bytes) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    throw RuntimeFault(errno_message(fmt::format("cannot read {}", path.string())));
  }
  if (status.st_size < keep_bytes) {
    throw RuntimeFault(
        fmt::format("{} holds {} bytes, but the checkpoint was saved after {}: it was replaced or "
                    "cut; put it back, or start another run with --fresh",
                    path.string(), status.st_size, keep_bytes));
  }
  if (keep_bytes < 0) keep_bytes = static_cast<int64_t>(whole_bytes(read_file(path)));
  if (keep_bytes < status.st_size && ::ftruncate(fd, keep_bytes) != 0) {
    throw RuntimeFault(errno_message(fmt::format("cannot truncate {}", path.string())));
  }
  return keep_bytes;
}

// A piece of a line or record would spoil all that follows it. Where even cutting fails, the error
// of the write says more.
void append_whole(int fd, const std::string& content, int64_t& bytes, const fs::path& path) {
  try {
    write_exactly(fd, content.data(), content.size(), path);
  } catch (...) {
    [[maybe_unused]] const int failed = ::ftruncate(fd, bytes);
    throw;
  }
  bytes += static_cast<int64_t>(content.size());
}

void sync_file(int fd, const fs::path& path) {
  if (::fsync(fd) != 0) {
    throw RuntimeFault(errno_message(fmt::format("cannot sync {}", path.string())));
  }
}

size_t whole_lines(const std::vector<uint8_t>& content) {
  const auto last = std::find(content.rbegin(), content.rend(), uint8_t{'\n'});
  return static_cast<size_t>(content.rend() - last);
}

template <typename Unsigned>
void put_little_endian(std::string& out, Unsigned value) {
  for (size_t i = 0; i < sizeof(value); ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t little_endian_u64(const uint8_t* bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

size_t whole_records(const std::vector<uint8_t>& content) {
  size_t end = 0;
  while (content.size() - end >= kFrameHead + kFrameTail) {
    const uint64_t length = little_endian_u64(content.data() + end);
    if (length > content.size() - end - kFrameHead - kFrameTail) break;
    end += kFrameHead + length + kFrameTail;
  }
  return end;
}

// TensorFlow masks checksums so that a checksum of data that holds checksums stays strong.
uint32_t masked_crc(const void* data, size_t size) {
  const uint32_t crc = crc32c(data, size);
  return std::rotr(crc, 15) + 0xA282EAD8u;
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

// Protobuf keys: field number << 3 | wire type (0 varint, 1 eight bytes, 2 length and bytes, 5
// four).
void put_bytes(std::string& out, int field, const std::string& bytes) {
  put_varint(out, static_cast<uint64_t>(field << 3 | 2));
  put_varint(out, bytes.size());
  out += bytes;
}

std::string event_head() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::string event;
  put_varint(event, 1 << 3 | 1);  // Event.wall_time
  put_little_endian(event, std::bit_cast<uint64_t>(std::chrono::duration<double>(now).count()));
  return event;
}

fs::path newest_event_file(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kEventFilePrefix)) names.push_back(name);
  }
  return names.empty() ? fs::path() : folder / *std::max_element(names.begin(), names.end());
}

fs::path new_event_file(const fs::path& folder) {
  char host[256] = "localhost";
  ::gethostname(host, sizeof(host) - 1);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  return folder / fmt::format("{}{}.{}", kEventFilePrefix, seconds, host);
}

}  // namespace

JsonlSink::JsonlSink(const fs::path& path, int64_t keep_bytes)
    : path_(path), file_(open_for_appending(path)) {
  bytes_ = cut(file_.get(), keep_bytes, path_, whole_lines);
}

void JsonlSink::write(const std::string& json_line) {
  DBPS_CHECK(json_line.find('\n') == std::string::npos, "a line feed inside a line of JSON");
  append_whole(file_.get(), json_line + '\n', bytes_, path_);
}

void JsonlSink::sync() { sync_file(file_.get(), path_); }

int64_t JsonlSink::bytes() const { return bytes_; }

TensorBoardSink::TensorBoardSink(const fs::path& run_folder, int64_t keep_bytes)
    : path_(newest_event_file(run_folder)) {
  if (path_.empty()) {
    path_ = new_event_file(run_folder);
    keep_bytes = 0;
  }
  file_ = open_for_appending(path_);
  bytes_ = cut(file_.get(), keep_bytes, path_, whole_records);
  if (bytes_ > 0) return;
  std::string event = event_head();
  put_bytes(event, 3, "brain.Event:2");  // Event.file_version
  write_record(event);
}

void TensorBoardSink::scalar(const std::string& tag, int64_t step, double value) {
  std::string entry;
  put_bytes(entry, 1, tag);       // Value.tag
  put_varint(entry, 2 << 3 | 5);  // Value.simple_value
  put_little_endian(entry, std::bit_cast<uint32_t>(static_cast<float>(value)));
  std::string summary;
  put_bytes(summary, 1, entry);  // Summary.value
  std::string event = event_head();
  put_varint(event, 2 << 3 | 0);  // Event.step
  put_varint(event, static_cast<uint64_t>(step));
  put_bytes(event, 5, summary);  // Event.summary
  write_record(event);
}

void TensorBoardSink::write_record(const std::string& event) {
  std::string record;
  put_little_endian(record, static_cast<uint64_t>(event.size()));
  put_little_endian(record, masked_crc(record.data(), record.size()));
  record += event;
  put_little_endian(record, masked_crc(event.data(), event.size()));
  append_whole(file_.get(), record, bytes_, path_);
}

void TensorBoardSink::sync() { sync_file(file_.get(), path_); }

int64_t TensorBoardSink::bytes() const { return bytes_; }

}  // namespace dbps::report

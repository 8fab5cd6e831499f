#include "base/zip_archive.h"

#include <fmt/format.h>
#include <isa-l/crc.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/files.h"

namespace dbps {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;

constexpr uint32_t kLocal = 0x04034b50;
constexpr uint32_t kCentral = 0x02014b50;
constexpr uint32_t kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50;
constexpr uint32_t kLocator64 = 0x07064b50;
constexpr uint64_t kLocalBytes = 30;
constexpr uint64_t kCentralBytes = 46;
constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kEnd64Bytes = 56;
constexpr uint64_t kLocator64Bytes = 20;
constexpr uint64_t kMaxComment = 0xFFFF;
constexpr uint32_t kIn64 = 0xFFFFFFFF;  // "see the zip64 field"
constexpr uint16_t kZip64Field = 1;
constexpr uint16_t kEncrypted = 1;
constexpr uint16_t kSizesFollow = 8;  // after the data: zero in the header before it
constexpr uint64_t kMaxDirectory = 64 << 20;

uint64_t number(const Bytes& bytes, uint64_t at, int size) {
  DBPS_CHECK(at + static_cast<uint64_t>(size) <= bytes.size(), "a zip header is read past its end");
  uint64_t value = 0;
  for (int i = size - 1; i >= 0; --i) value = (value << 8) | bytes[at + static_cast<uint64_t>(i)];
  return value;
}

// One entry of the directory.
struct Entry {
  std::string name;
  uint16_t flags = 0;
  uint32_t crc = 0;
  uint64_t size = 0;
  uint64_t header = 0;  // where its local header stands
};

struct Directory {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t entries = 0;
};

class Reader {
 public:
  explicit Reader(const fs::path& path)
      : path_(path), file_(open_for_reading(path)), size_(file_bytes(file_, path)) {}

  std::map<std::string, ZipMember> members() {
    const Directory directory = find_directory();
    std::map<std::string, ZipMember> members;
    std::vector<std::pair<uint64_t, uint64_t>> taken;
    for (const Entry& entry : entries(directory)) {
      const ZipMember member = locate(entry, directory.begin);
      if (!members.emplace(entry.name, member).second) {
        throw fail(fmt::format("it holds '{}' twice", entry.name));
      }
      taken.emplace_back(entry.header, member.end);
    }
    std::sort(taken.begin(), taken.end());
    for (size_t i = 1; i < taken.size(); ++i) {
      if (taken[i].first < taken[i - 1].second) throw fail("two of its members share bytes");
    }
    return members;
  }

 private:
  DataError fail(const std::string& why) const {
    return DataError(fmt::format("{} is damaged: {}", path_.string(), why));
  }

  Bytes read(uint64_t begin, uint64_t size, const char* what) const {
    if (begin > size_ || size > size_ - begin) {
      throw fail(fmt::format("{} reaches past the end of the file", what));
    }
    Bytes bytes(size);
    pread_exactly(file_.get(), bytes.data(), size, begin, path_);
    return bytes;
  }

  Directory find_directory() const {
    const uint64_t tail_bytes = std::min(size_, kEndBytes + kMaxComment);
    const Bytes tail = read(size_ - tail_bytes, tail_bytes, "its end");
    for (uint64_t at = tail_bytes + 1 - std::min(tail_bytes + 1, kEndBytes); at > 0; --at) {
      const uint64_t record = at - 1;
      if (number(tail, record, 4) != kEnd ||
          record + kEndBytes + number(tail, record + 20, 2) != tail_bytes) {
        continue;
      }
      return directory_of(tail, record, size_ - tail_bytes + record);
    }
    throw fail("the zip directory at its end is missing: it is truncated, or not a zip archive");
  }

  // The end record lies in `tail` from `record`, and in the file from `position`.
  Directory directory_of(const Bytes& tail, uint64_t record, uint64_t position) const {
    if (number(tail, record + 4, 4) != 0) throw fail("it is one of several volumes");
    Directory directory;
    directory.entries = number(tail, record + 10, 2);
    uint64_t bytes = number(tail, record + 12, 4);
    directory.begin = number(tail, record + 16, 4);
    uint64_t limit = position;
    const std::optional<uint64_t> position64 = find_end64(position);
    if (position64) {
      const Bytes end = read(*position64, kEnd64Bytes, "its zip64 end record");
      if (number(end, 0, 4) != kEnd64) throw fail("its zip64 end record is missing");
      const uint64_t narrow[] = {directory.entries, bytes, directory.begin};
      const uint64_t absent[] = {0xFFFF, kIn64, kIn64};
      directory.entries = number(end, 32, 8);
      bytes = number(end, 40, 8);
      directory.begin = number(end, 48, 8);
      const uint64_t wide[] = {directory.entries, bytes, directory.begin};
      for (int i = 0; i < 3; ++i) {
        if (narrow[i] != wide[i] && narrow[i] != absent[i]) {
          throw fail("its two end records disagree");
        }
      }
      limit = *position64;
    }
    if (directory.begin > limit || bytes != limit - directory.begin) {
      throw fail("its directory does not reach from where it says to its end record");
    }
    if (bytes > kMaxDirectory || directory.entries > bytes / kCentralBytes) {
      throw fail("its directory's number of members is impossible");
    }
    directory.end = limit;
    return directory;
  }

  // Where the zip64 end record stands, by the locator just before the end record.
  std::optional<uint64_t> find_end64(uint64_t end_position) const {
    if (end_position < kLocator64Bytes) return std::nullopt;
    const Bytes locator = read(end_position - kLocator64Bytes, kLocator64Bytes, "its locator");
    if (number(locator, 0, 4) != kLocator64) return std::nullopt;
    const uint64_t position = number(locator, 8, 8);
    const uint64_t limit = end_position - kLocator64Bytes;
    if (position > limit || limit - position != kEnd64Bytes) {
      throw fail("its zip64 end record is not where it says");
    }
    return position;
  }

  std::vector<Entry> entries(const Directory& directory) const {
    const Bytes bytes = read(directory.begin, directory.end - directory.begin, "its directory");
    std::vector<Entry> entries;
    uint64_t at = 0;
    for (uint64_t i = 0; i < directory.entries; ++i) {
      if (bytes.size() - at < kCentralBytes || number(bytes, at, 4) != kCentral) {
        throw fail("its directory ends before its last member");
      }
      const uint64_t name = number(bytes, at + 28, 2);
      const uint64_t extra = number(bytes, at + 30, 2);
      const uint64_t whole = kCentralBytes + name + extra + number(bytes, at + 32, 2);
      if (whole > bytes.size() - at) throw fail("its directory ends within a member's entry");
      entries.push_back(entry(bytes, at, name, extra));
      at += whole;
    }
    if (at != bytes.size()) throw fail("its directory holds more than its members");
    return entries;
  }

  Entry entry(const Bytes& bytes, uint64_t at, uint64_t name_bytes, uint64_t extra_bytes) const {
    Entry entry;
    const auto* name = reinterpret_cast<const char*>(bytes.data() + at + kCentralBytes);
    entry.name.assign(name, name_bytes);
    check_name(entry.name);
    entry.flags = static_cast<uint16_t>(number(bytes, at + 8, 2));
    check_readable(entry.name, entry.flags, number(bytes, at + 10, 2));
    entry.crc = static_cast<uint32_t>(number(bytes, at + 16, 4));
    uint64_t stored = number(bytes, at + 20, 4);
    entry.size = number(bytes, at + 24, 4);
    entry.header = number(bytes, at + 42, 4);
    uint64_t field = at + kCentralBytes + name_bytes;
    const uint64_t end = field + extra_bytes;
    while (end - field >= 4) {
      const uint64_t size = number(bytes, field + 2, 2);
      if (size > end - field - 4) throw fail(fmt::format("'{}' has a broken field", entry.name));
      if (number(bytes, field, 2) == kZip64Field) {
        uint64_t value = field + 4;
        for (uint64_t* narrow : {&entry.size, &stored, &entry.header}) {
          if (*narrow != kIn64) continue;
          if (value + 8 > field + 4 + size) {
            throw fail(fmt::format("'{}' has a broken zip64 field", entry.name));
          }
          *narrow = number(bytes, value, 8);
          value += 8;
        }
      }
      field += 4 + size;
    }
    if (stored != entry.size) {
      throw fail(
          fmt::format("'{}' is stored with two sizes, {} and {}", entry.name, stored, entry.size));
    }
    return entry;
  }

  void check_name(const std::string& name) const {
    const bool printable =
        std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
    if (name.empty() || !printable) throw fail("a member's name is no plain text");
    if (name[0] == '/' || name.find('\\') != std::string::npos ||
        ("/" + name + "/").find("/../") != std::string::npos) {
      throw fail(fmt::format("the member '{}' is named as a path out of the archive", name));
    }
  }

  void check_readable(const std::string& name, uint64_t flags, uint64_t method) const {
    if ((flags & kEncrypted) != 0) {
      throw DataError(fmt::format("{}: '{}' is encrypted", path_.string(), name));
    }
    if (method != 0) {
      throw DataError(
          fmt::format("{}: '{}' is compressed (method {}); PyTorch stores weights uncompressed",
                      path_.string(), name, method));
    }
  }

  // Where the data lie, by the header before them, which must agree with the directory.
  ZipMember locate(const Entry& entry, uint64_t directory) const {
    const auto disagree = [&](const char* what) {
      return fail(
          fmt::format("the header of '{}' and the directory disagree on its {}", entry.name, what));
    };
    if (entry.header > directory || directory - entry.header < kLocalBytes) {
      throw fail(fmt::format("'{}' does not lie before the directory", entry.name));
    }
    const Bytes header = read(entry.header, kLocalBytes, "a header");
    if (number(header, 0, 4) != kLocal) {
      throw fail(fmt::format("'{}' is not where the directory says", entry.name));
    }
    if (number(header, 6, 2) != entry.flags) throw disagree("flags");
    if (number(header, 8, 2) != 0) throw disagree("compression");
    const bool follow = (entry.flags & kSizesFollow) != 0;
    for (const int at : {18, 22}) {
      const uint64_t size = number(header, static_cast<uint64_t>(at), 4);
      if (size != entry.size && size != kIn64 && !(follow && size == 0)) throw disagree("size");
    }
    const uint64_t crc = number(header, 14, 4);
    if (crc != entry.crc && !(follow && crc == 0)) throw disagree("checksum");
    const uint64_t name = number(header, 26, 2);
    const uint64_t begin = entry.header + kLocalBytes + name + number(header, 28, 2);
    if (begin > directory || entry.size > directory - begin) {
      throw fail(fmt::format("'{}' is larger than what lies before the directory", entry.name));
    }
    const Bytes written = read(entry.header + kLocalBytes, name, "a name");
    if (std::string(written.begin(), written.end()) != entry.name) throw disagree("name");
    return {begin, begin + entry.size, entry.crc};
  }

  const fs::path& path_;
  const FileDescriptor file_;
  const uint64_t size_;
};

}  // namespace

bool is_zip(const std::vector<uint8_t>& head) {
  return head.size() >= 4 && number(head, 0, 4) == kLocal;
}

std::map<std::string, ZipMember> read_zip_directory(const fs::path& path) {
  return Reader(path).members();
}

uint32_t crc32_of(const void* data, uint64_t size) {
  return crc32_gzip_refl(0, static_cast<const uint8_t*>(data), size);
}

std::vector<uint8_t> read_zip_member(const fs::path& path, const std::string& name,
                                     const ZipMember& member) {
  const FileDescriptor file = open_for_reading(path);
  std::vector<uint8_t> bytes(member.end - member.begin);
  pread_exactly(file.get(), bytes.data(), bytes.size(), member.begin, path);
  if (crc32_of(bytes.data(), bytes.size()) != member.crc) {
    throw DataError(
        fmt::format("{} is damaged: '{}' does not fit its checksum", path.string(), name));
  }
  return bytes;
}

}  // namespace dbps

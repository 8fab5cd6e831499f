#include "ingest/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/files.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr uint64_t kMostHeaderBytes = 65536;
constexpr size_t kMostDimensions = 8;

// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const fs::path& path) : text_(text), path_(path) {}

  NpyHeader parse() {
    NpyHeader header;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !has_descr) {
        header.descr = quoted();
        has_descr = true;
      } else if (key == "fortran_order" && !has_order) {
        header.fortran_order = truth();
        has_order = true;
      } else if (key == "shape" && !has_shape) {
        header.shape = tuple();
        has_shape = true;
      } else {
        fail();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size() || !has_descr || !has_order || !has_shape) fail();
    return header;
  }

 private:
  [[noreturn]] void fail() const {
    throw DataError(
        fmt::format("{}: its .npy header cannot be read (at character {})", path_.string(), at_));
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool accept(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) fail();
  }

  std::string quoted() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') fail();
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail();
    const std::string_view word = text_.substr(at_ + 1, end - at_ - 1);
    if (word.find('\\') != std::string_view::npos) fail();
    at_ = end + 1;
    return std::string(word);
  }

  bool truth() {
    skip_space();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true},
                                      std::pair<std::string_view, bool>{"False", false}}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    fail();
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> numbers;
    expect('(');
    while (!accept(')')) {
      skip_space();
      int64_t number = -1;
      const auto [end, error] =
          std::from_chars(text_.data() + at_, text_.data() + text_.size(), number);
      if (error != std::errc() || number < 0 || numbers.size() == kMostDimensions) fail();
      at_ = static_cast<size_t>(end - text_.data());
      numbers.push_back(number);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return numbers;
  }

  std::string_view text_;
  const fs::path& path_;
  size_t at_ = 0;
};

}  // namespace

NpyHeader read_npy_header(const fs::path& path) {
  const FileDescriptor file = open_for_reading(path);
  const uint64_t size = file_bytes(file, path);
  uint8_t start[12] = {};
  pread_exactly(file.get(), start, std::min<uint64_t>(sizeof(start), size), 0, path);
  if (std::memcmp(start, kMagic.data(), kMagic.size()) != 0) {
    throw DataError(fmt::format("{} is not a .npy file", path.string()));
  }
  const int version = start[6];
  if (version < 1 || version > 3) {
    throw DataError(fmt::format("{}: .npy format version {} is not read", path.string(), version));
  }
  uint64_t length = start[8] | static_cast<uint64_t>(start[9]) << 8;
  if (version > 1) {
    length |= static_cast<uint64_t>(start[10]) << 16 | static_cast<uint64_t>(start[11]) << 24;
  }
  const uint64_t begin = version == 1 ? 10 : 12;
  if (begin + length > size || length > kMostHeaderBytes) {
    throw DataError(fmt::format("{}: its .npy header is longer than the file or than {} bytes",
                                path.string(), kMostHeaderBytes));
  }
  std::string text(length, '\0');
  pread_exactly(file.get(), text.data(), length, begin, path);
  NpyHeader header = HeaderParser(text, path).parse();
  header.data_offset = begin + length;
  return header;
}

}  // namespace dbps::ingest

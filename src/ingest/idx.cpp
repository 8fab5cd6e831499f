#include "ingest/idx.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

#include "base/error.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kUnsignedBytes = 0x0800;  // the header's first number, and the dimensions
constexpr uint32_t kMostDigits = 1'000'000;  // bounds what a header can make us read
constexpr size_t kPiece = size_t{1} << 20;

fs::path find_file(const fs::path& folder, const std::string& part, const std::string& what,
                   int dimensions) {
  for (const char* separator : {"-", "."}) {
    for (const char* ending : {"", ".gz"}) {
      const fs::path path =
          folder / fmt::format("{}-{}{}idx{}-ubyte{}", part, what, separator, dimensions, ending);
      if (fs::exists(path)) return path;
    }
  }
  throw ConfigError(
      fmt::format("{} has no {}-{}-idx{}-ubyte (or .gz): name the folder of MNIST's "
                  "four files",
                  folder.string(), part, what, dimensions));
}

// Reads plain files, too.
class GzipFile {
 public:
  explicit GzipFile(const fs::path& path) : path_(path), file_(::gzopen(path.c_str(), "rb")) {
    if (!file_) throw DataError(errno_message(fmt::format("cannot open {}", path.string())));
  }

  // Memory grows with what is there, not with what a header says.
  std::vector<uint8_t> read(uint64_t size) {
    std::vector<uint8_t> bytes;
    while (bytes.size() < size) {
      const size_t start = bytes.size();
      bytes.resize(start + std::min<uint64_t>(kPiece, size - start));
      const int count =
          ::gzread(file_.get(), bytes.data() + start, static_cast<unsigned>(bytes.size() - start));
      if (count < 0) throw DataError(path_.string() + " is damaged: its gzip data do not hold");
      if (static_cast<size_t>(count) < bytes.size() - start) {
        throw DataError(fmt::format("{} is cut short: its header promises {} bytes more",
                                    path_.string(), size - start - static_cast<uint64_t>(count)));
      }
    }
    return bytes;
  }

  std::vector<uint32_t> read_numbers(size_t count) {
    const std::vector<uint8_t> bytes = read(4 * count);
    std::vector<uint32_t> numbers(count);
    for (size_t i = 0; i < bytes.size(); ++i) numbers[i / 4] = numbers[i / 4] << 8 | bytes[i];
    return numbers;
  }

  bool at_end() {
    uint8_t next;
    return ::gzread(file_.get(), &next, 1) == 0;
  }

 private:
  struct Close {
    void operator()(gzFile file) const { ::gzclose(file); }
  };
  fs::path path_;
  std::unique_ptr<gzFile_s, Close> file_;
};

std::vector<uint8_t> read_idx(const fs::path& path, const std::vector<uint32_t>& shape) {
  GzipFile file(path);
  const auto dimensions = static_cast<uint32_t>(shape.size()) + 1;
  if (file.read_numbers(1)[0] != (kUnsignedBytes | dimensions)) {
    throw DataError(fmt::format("{} is no IDX file of bytes in {} dimension{}", path.string(),
                                dimensions, dimensions == 1 ? "" : "s"));
  }
  const std::vector<uint32_t> sizes = file.read_numbers(dimensions);
  if (!std::equal(shape.begin(), shape.end(), sizes.begin() + 1)) {
    throw DataError(fmt::format("{} holds pictures of {} x {} pixels, not {} x {}", path.string(),
                                sizes[1], sizes[2], shape[0], shape[1]));
  }
  if (sizes[0] == 0 || sizes[0] > kMostDigits) {
    throw DataError(fmt::format("{} says that it holds {} digits: between 1 and {} can be read",
                                path.string(), sizes[0], kMostDigits));
  }
  uint64_t bytes = sizes[0];
  for (const uint32_t side : shape) bytes *= side;
  std::vector<uint8_t> values = file.read(bytes);
  if (!file.at_end()) {
    throw DataError(
        fmt::format("{} goes on after the {} digits of its header", path.string(), sizes[0]));
  }
  return values;
}

}  // namespace

DigitSet read_mnist(const fs::path& folder, const std::string& part) {
  const fs::path images = find_file(folder, part, "images", 3);
  const fs::path labels = find_file(folder, part, "labels", 1);
  DigitSet digits;
  digits.greys = read_idx(images, {kMnistSide, kMnistSide});
  digits.labels = read_idx(labels, {});
  if (digits.greys.size() != digits.labels.size() * kMnistGreys) {
    throw DataError(fmt::format("{} holds {} digits and {} {} labels", images.string(),
                                static_cast<int64_t>(digits.greys.size()) / kMnistGreys,
                                labels.string(), digits.labels.size()));
  }
  const auto wrong = std::find_if(digits.labels.begin(), digits.labels.end(),
                                  [](uint8_t label) { return label > 9; });
  if (wrong != digits.labels.end()) {
    throw DataError(fmt::format("{}: label {} of digit {} is none of 0 to 9", labels.string(),
                                *wrong, wrong - digits.labels.begin()));
  }
  return digits;
}

}  // namespace dbps::ingest

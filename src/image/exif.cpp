#include "image/exif.h"

#include <cstddef>

namespace dbps::image::internal {
namespace {

constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kShortType = 3;

// Reads beyond the end give 0, which no valid field holds where it matters.
class Reader {
 public:
  Reader(std::span<const uint8_t> block, bool big_endian) : block_(block), big_(big_endian) {}
  uint32_t number(size_t at, size_t size) const {
    if (at + size > block_.size()) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value = (value << 8) | block_[at + (big_ ? i : size - 1 - i)];
    }
    return value;
  }

 private:
  std::span<const uint8_t> block_;
  bool big_;
};

}  // namespace

int exif_orientation(std::span<const uint8_t> block) {
  if (block.size() < 8 || block[0] != block[1] || (block[0] != 'I' && block[0] != 'M')) return 1;
  const Reader reader(block, block[0] == 'M');
  if (reader.number(2, 2) != 42) return 1;
  const size_t directory = reader.number(4, 4);
  const size_t entries = reader.number(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > block.size()) return 1;
    if (reader.number(entry, 2) != kOrientationTag) continue;
    const uint32_t value = reader.number(entry + 8, 2);
    const bool valid = reader.number(entry + 2, 2) == kShortType && value >= 1 && value <= 8;
    return valid ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace dbps::image::internal

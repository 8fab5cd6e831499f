#include "image/slide.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "image/codec.h"
#include "image/slide_formats.h"

namespace dbps::image {

std::unique_ptr<Slide> open_slide(const std::filesystem::path& path) {
  const std::string name = path.string();
  const FileDescriptor file = open_for_reading(path);
  std::vector<uint8_t> head(std::min<uint64_t>(16, file_bytes(file, path)));
  pread_exactly(file.get(), head.data(), head.size(), 0, path);
  if (head.empty()) throw DataError(name + ": the file is empty");
  if (sniff(head) == Format::kTiff) return internal::open_tiff_slide(name);
  throw DataError(name + ": not a slide that can be read");
}

namespace internal {

void copy_overlap(const Image& block, int64_t x, int64_t y, Image& region, int64_t left,
                  int64_t top) {
  const int64_t first_x = std::max(x, left);
  const int64_t end_x = std::min(x + block.width, left + region.width);
  const int64_t first_y = std::max(y, top);
  const int64_t end_y = std::min(y + block.height, top + region.height);
  if (first_x >= end_x) return;
  for (int64_t row = first_y; row < end_y; ++row) {
    const uint8_t* from = block.row(row - y) + 3 * (first_x - x);
    std::copy(from, from + 3 * (end_x - first_x), region.row(row - top) + 3 * (first_x - left));
  }
}

}  // namespace internal
}  // namespace dbps::image

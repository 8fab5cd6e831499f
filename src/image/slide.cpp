#include "image/slide.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "image/codec.h"
#include "image/slide_formats.h"

namespace dbps::image {
namespace {

const char* what_4_reads(const std::filesystem::path& path, const std::string& version) {
  const std::string extension = to_lower(path.extension().string());
  const bool later = extension == ".dcm" || extension == ".czi" || extension == ".avs";
  return later && version.starts_with("3.") ? "; such slides need OpenSlide 4" : "";
}

}  // namespace

std::unique_ptr<Slide> open_slide(const std::filesystem::path& path) {
  const std::string name = path.string();
  const FileDescriptor file = open_for_reading(path);
  std::vector<uint8_t> head(std::min<uint64_t>(16, file_bytes(file, path)));
  pread_exactly(file.get(), head.data(), head.size(), 0, path);
  if (head.empty()) throw DataError(name + ": the file is empty");
  if (auto slide = internal::open_openslide(name)) return slide;
  switch (sniff(head)) {
    case Format::kTiff:
      return internal::open_tiff_slide(name);
    case Format::kJpeg:
      return internal::open_row_slide(name, internal::open_jpeg_rows);
    case Format::kPng:
      return internal::open_row_slide(name, internal::open_png_rows);
    case Format::kUnknown:
      break;
  }
  const std::string version = openslide_version();
  throw DataError(name + (version.empty()
                              ? ": not a TIFF, JPEG or PNG; other slides need OpenSlide, which is "
                                "not on this machine (the Debian package libopenslide0)"
                              : fmt::format(": neither a slide that OpenSlide {} reads nor a TIFF, "
                                            "JPEG or PNG{}",
                                            version, what_4_reads(path, version))));
}

namespace internal {

void require_slide(const Info& info, const std::string& name) {
  if (info.width < 1 || info.height < 1) throw DataError(name + ": it has no pixels");
  if (info.bits > 8) {
    throw DataError(
        fmt::format("{}: {} bits a channel are not supported; convert to 8 bits", name, info.bits));
  }
  if (info.orientation != 1) {
    throw DataError(name + ": turned slides are not supported; save it upright");
  }
}

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

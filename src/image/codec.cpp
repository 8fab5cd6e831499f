#include "image/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "image/formats.h"

namespace dbps::image {
namespace {

bool starts_with(std::span<const uint8_t> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin(),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

void require_supported(const Info& info, const std::string& name, const DecodeOptions& options) {
  if (info.width < 1 || info.height < 1) {
    throw DataError(fmt::format("{}: the picture has no pixels", name));
  }
  const double pixels = static_cast<double>(info.width) * static_cast<double>(info.height);
  if (pixels > options.max_pixels) {
    throw DataError(
        fmt::format("{}: {} x {} pixels are more than data.picture_pixels = {:g}; raise that key, "
                    "or shrink the picture (giant pictures go into a store of --kind tiles)",
                    name, info.width, info.height, options.max_pixels));
  }
  if (info.bits > 8) {
    throw DataError(
        fmt::format("{}: {} bits a channel are not supported; convert to 8 bits", name, info.bits));
  }
}

}  // namespace

const char* mode_name(Mode mode) {
  switch (mode) {
    case Mode::kGrey:
      return "grey";
    case Mode::kGreyAlpha:
      return "grey with alpha";
    case Mode::kPalette:
      return "palette";
    case Mode::kRgb:
      return "RGB";
    case Mode::kRgba:
      return "RGB with alpha";
    case Mode::kCmyk:
      return "CMYK";
  }
  return "unknown";
}

Format sniff(std::span<const uint8_t> bytes) {
  using namespace std::string_view_literals;
  if (starts_with(bytes, "\xFF\xD8\xFF"sv)) return Format::kJpeg;
  if (starts_with(bytes, "\x89PNG\r\n\x1A\n"sv)) return Format::kPng;
  for (const std::string_view magic : {"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv}) {
    if (starts_with(bytes, magic)) return Format::kTiff;
  }
  return Format::kUnknown;
}

Info probe(std::span<const uint8_t> bytes, const std::string& name) {
  switch (sniff(bytes)) {
    case Format::kJpeg:
      return internal::probe_jpeg(bytes, name);
    case Format::kPng:
      return internal::probe_png(bytes, name);
    case Format::kTiff:
      return internal::probe_tiff(bytes, name);
    case Format::kUnknown:
      break;
  }
  throw DataError(name +
                  (bytes.empty() ? ": the file is empty" : ": not a JPEG, PNG or TIFF picture"));
}

Image decode(std::span<const uint8_t> bytes, const std::string& name,
             const DecodeOptions& options) {
  DBPS_CHECK(options.channels == 1 || options.channels == 3, "pictures have 1 or 3 channels");
  const Info info = probe(bytes, name);
  require_supported(info, name, options);
  switch (info.format) {
    case Format::kJpeg:
      return internal::decode_jpeg(bytes, name, info, options);
    case Format::kPng:
      return internal::decode_png(bytes, name, info, options.channels);
    default:
      return internal::decode_tiff(bytes, name, info, options.channels);
  }
}

namespace internal {

void fail_damaged(const std::string& name, const char* format, const std::string& reason) {
  throw DataError(fmt::format("{}: damaged {}: {}", name, format, reason));
}

}  // namespace internal
}  // namespace dbps::image

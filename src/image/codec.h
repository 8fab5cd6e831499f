// Decoding and encoding of JPEG, PNG and TIFF. Stateless; any thread may call.
//
// All functions throw DataError for bytes that are not such a picture; `name` (a path, or a bag's id)
// stands at the start of the message.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "image/image.h"

namespace dbps::image {

enum class Format { kUnknown, kJpeg, kPng, kTiff };

// How the pixels are stored, before conversion to RGB.
enum class Mode { kGrey, kGreyAlpha, kPalette, kRgb, kRgba, kCmyk };

// What a header says, without decoding pixels.
struct Info {
  Format format = Format::kUnknown;
  Mode mode = Mode::kRgb;
  int bits = 8;         // per channel
  int64_t width = 0;    // upright: after EXIF rotation
  int64_t height = 0;
  int orientation = 1;  // EXIF 1..8
};

const char* mode_name(Mode mode);  // "palette", "CMYK", ...

Format sniff(std::span<const uint8_t> bytes);
Info probe(std::span<const uint8_t> bytes, const std::string& name);

struct DecodeOptions {
  int channels = 3;        // 3: RGB, 1: grey (ITU-R 601 luma)
  double max_pixels = 1e9;  // larger pictures are refused, before memory is asked for
};

// Upright RGB (or grey): grey and palette are expanded, alpha is laid on white, CMYK is converted;
// 16-bit is refused. A truncated picture is refused, never filled up with grey.
Image decode(std::span<const uint8_t> bytes, const std::string& name,
             const DecodeOptions& options = {});

std::vector<uint8_t> encode_jpeg(const Image& image, int quality = 90);
std::vector<uint8_t> encode_png(const Image& image, int level = 6);

}  // namespace dbps::image

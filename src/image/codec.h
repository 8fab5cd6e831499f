// Decoding and encoding of JPEG, PNG and TIFF. Stateless; any thread may call.
//
// All functions throw DataError for bytes that are not such a picture; `name` (a path, or a bag's
// id) stands at the start of the message.
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
  int bits = 8;       // per channel
  int64_t width = 0;  // upright: after EXIF rotation
  int64_t height = 0;
  int orientation = 1;  // EXIF 1..8
};

const char* mode_name(Mode mode);  // "palette", "CMYK", ...

// By the first bytes; a file's name does not matter.
Format sniff(std::span<const uint8_t> bytes);

// Reads headers only: the first part of a file is enough where its headers lie there.
Info probe(std::span<const uint8_t> bytes, const std::string& name);

struct DecodeOptions {
  int channels = 3;         // 3: RGB, 1: grey (ITU-R 601 luma)
  double max_pixels = 1e9;  // larger pictures are refused, before memory is asked for
  // Upright pixels that are enough: a JPEG comes out at an eighth, a quarter or a half of its size
  // where that divides both sides and leaves as many. 0: its full size.
  int64_t enough_width = 0;
  int64_t enough_height = 0;
};

// Upright RGB (or grey): grey and palette are expanded, alpha is laid on white, CMYK is converted
// without a colour profile; 16-bit is refused. A truncated picture is refused, never filled up with
// grey; so is a JPEG that its library would mend with a warning. Of a TIFF the first page is read.
//
// Memory: the picture once, and a row; besides it, a progressive JPEG holds its coefficients (2
// bytes a sample), an interlaced PNG a second copy, a TIFF one strip or row of tiles.
Image decode(std::span<const uint8_t> bytes, const std::string& name,
             const DecodeOptions& options = {});

// Quality 1 to 100; colour in full resolution (4:4:4) from 90 upwards, halved (4:2:0) below.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality = 90);
// Lossless; level 0 (none) to 9 (smallest).
std::vector<uint8_t> encode_png(const Image& image, int level = 6);

}  // namespace dbps::image

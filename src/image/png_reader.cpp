#include "image/png_reader.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "image/exif.h"

namespace dbps::image::internal {
namespace {

Mode mode_of(int colour_type) {
  switch (colour_type) {
    case PNG_COLOR_TYPE_GRAY:
      return Mode::kGrey;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      return Mode::kGreyAlpha;
    case PNG_COLOR_TYPE_PALETTE:
      return Mode::kPalette;
    case PNG_COLOR_TYPE_RGB_ALPHA:
      return Mode::kRgba;
    default:
      return Mode::kRgb;
  }
}

int orientation_of(png_structp png, png_infop info) {
  png_bytep block = nullptr;
  png_uint_32 size = 0;
  if (png_get_eXIf_1(png, info, &size, &block) == 0) return 1;
  return exif_orientation({block, size});
}

}  // namespace

void fail_png_step(png_structp png, const char* message) {
  static_cast<Guard*>(png_get_error_ptr(png))->fail(message);
}

// Checksums and missing data are errors to libpng; its warnings are about odd metadata.
void ignore_png_warning(png_structp, const char*) {}

PngReader::PngReader(Bytes bytes, const std::string& name) : bytes_(bytes), name_(name) { open(); }

PngReader::PngReader(std::FILE* file, const std::string& name) : file_(file), name_(name) {
  open();
}

void PngReader::open() {
  png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &guard_, fail_png_step, ignore_png_warning);
  info_ = png_ ? png_create_info_struct(png_) : nullptr;
  if (!info_) {
    close();
    throw std::bad_alloc();
  }
  run([&] {
    png_set_read_fn(png_, this, &PngReader::read);
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // DecodeOptions has its own
    png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_read_info(png_, info_);
  });
}

void PngReader::read(png_structp png, png_bytep target, size_t size) {
  PngReader& self = *static_cast<PngReader*>(png_get_io_ptr(png));
  if (self.file_ != nullptr) {
    if (std::fread(target, 1, size, self.file_) != size) {
      png_error(png, "the file ends too early");
    }
    return;
  }
  if (size > self.bytes_.size() - self.position_) png_error(png, "the file ends too early");
  std::memcpy(target, self.bytes_.data() + self.position_, size);
  self.position_ += size;
}

Info PngReader::info() {
  Info info;
  info.format = Format::kPng;
  info.mode = mode_of(png_get_color_type(png_, info_));
  info.bits = std::max<int>(8, png_get_bit_depth(png_, info_));
  info.width = png_get_image_width(png_, info_);
  info.height = png_get_image_height(png_, info_);
  info.orientation = orientation_of(png_, info_);
  if (is_transposed(info.orientation)) std::swap(info.width, info.height);
  return info;
}

Pixels PngReader::choose_output() {
  const bool alpha = (png_get_color_type(png_, info_) & PNG_COLOR_MASK_ALPHA) != 0 ||
                     png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
  run([&] {
    png_set_expand(png_);
    png_set_gray_to_rgb(png_);
  });
  return alpha ? Pixels::kRgba : Pixels::kRgb;
}

}  // namespace dbps::image::internal

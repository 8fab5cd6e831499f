#include "image/jpeg_decompressor.h"

#include <jerror.h>

#include <cstring>
#include <utility>

#include "image/exif.h"

namespace dbps::image::internal {
namespace {

void fail_with_last_message(j_common_ptr info) {
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  reinterpret_cast<JpegErrors*>(info->err)->guard.fail(text);
}

// libjpeg fills up what is missing and calls that a warning; here it is damage. What concerns only
// metadata is let through.
void treat_warning(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR || code == JWRN_BOGUS_ICC) return;
  fail_with_last_message(info);
}

int orientation_of(const jpeg_decompress_struct& cinfo) {
  constexpr char kHead[6] = {'E', 'x', 'i', 'f', 0, 0};
  for (const jpeg_marker_struct* marker = cinfo.marker_list; marker; marker = marker->next) {
    if (marker->marker != JPEG_APP0 + 1 || marker->data_length < sizeof(kHead)) continue;
    if (std::memcmp(marker->data, kHead, sizeof(kHead)) != 0) continue;
    return exif_orientation({marker->data + sizeof(kHead), marker->data_length - sizeof(kHead)});
  }
  return 1;
}

}  // namespace

void install(JpegErrors& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = fail_with_last_message;
  errors.base.emit_message = treat_warning;
}

Decompressor::Decompressor(Bytes bytes, const std::string& name, Bytes tables) : name_(name) {
  open([&] {
    if (!tables.empty()) {
      jpeg_mem_src(&cinfo_, tables.data(), tables.size());
      if (jpeg_read_header(&cinfo_, FALSE) != JPEG_HEADER_TABLES_ONLY) {
        errors_.guard.fail("its tables hold a picture");
      }
    }
    jpeg_mem_src(&cinfo_, bytes.data(), bytes.size());
  });
}

Decompressor::Decompressor(std::FILE* file, const std::string& name) : name_(name) {
  open([&] { jpeg_stdio_src(&cinfo_, file); });
}

template <typename SetSource>
void Decompressor::open(const SetSource& set_source) {
  install(errors_);
  cinfo_.err = &errors_.base;
  run([&] {
    jpeg_create_decompress(&cinfo_);
    set_source();
    jpeg_save_markers(&cinfo_, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&cinfo_, TRUE);
  });
}

Info Decompressor::info() const {
  Info info;
  info.format = Format::kJpeg;
  info.bits = cinfo_.data_precision;
  info.mode = cinfo_.num_components == 1   ? Mode::kGrey
              : cinfo_.num_components == 4 ? Mode::kCmyk
                                           : Mode::kRgb;
  info.orientation = orientation_of(cinfo_);
  info.width = cinfo_.image_width;
  info.height = cinfo_.image_height;
  if (is_transposed(info.orientation)) std::swap(info.width, info.height);
  return info;
}

Pixels Decompressor::choose_output(int channels) {
  switch (cinfo_.jpeg_color_space) {
    case JCS_CMYK:
    case JCS_YCCK:
      cinfo_.out_color_space = JCS_CMYK;
      return cinfo_.saw_Adobe_marker ? Pixels::kCmykInverted : Pixels::kCmyk;
    case JCS_GRAYSCALE:
      cinfo_.out_color_space = JCS_GRAYSCALE;
      return Pixels::kGrey;
    case JCS_YCbCr:
      // Y is the luma: no need to make colours first.
      cinfo_.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
      return channels == 1 ? Pixels::kGrey : Pixels::kRgb;
    default:
      cinfo_.out_color_space = JCS_RGB;
      return Pixels::kRgb;
  }
}

}  // namespace dbps::image::internal

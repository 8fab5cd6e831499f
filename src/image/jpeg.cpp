#include <cstddef>
#include <cstdint>
#include <cstdio>  // jpeglib.h needs FILE

#include <jerror.h>
#include <jpeglib.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "base/error.h"
#include "image/exif.h"
#include "image/formats.h"
#include "image/guard.h"
#include "image/rows.h"

namespace dbps::image {
namespace internal {
namespace {

struct ErrorManager {
  jpeg_error_mgr base;  // first: libjpeg hands back a pointer to it
  Guard guard;
};

void fail_with_last_message(j_common_ptr info) {
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  reinterpret_cast<ErrorManager*>(info->err)->guard.fail(text);
}

// libjpeg fills up what is missing and calls that a warning; here it is damage. What concerns only
// metadata is let through.
void treat_warning(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR || code == JWRN_BOGUS_ICC) return;
  fail_with_last_message(info);
}

void install(ErrorManager& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = fail_with_last_message;
  errors.base.emit_message = treat_warning;
}

class Decompressor {
 public:
  // `tables`: a JPEG stream of tables alone that is read first, or nothing.
  Decompressor(Bytes bytes, const std::string& name, Bytes tables = {}) : name_(name) {
    install(errors_);
    cinfo_.err = &errors_.base;
    run([&] {
      jpeg_create_decompress(&cinfo_);
      if (!tables.empty()) {
        jpeg_mem_src(&cinfo_, tables.data(), tables.size());
        if (jpeg_read_header(&cinfo_, FALSE) != JPEG_HEADER_TABLES_ONLY) {
          errors_.guard.fail("its tables hold a picture");
        }
      }
      jpeg_mem_src(&cinfo_, bytes.data(), bytes.size());
      jpeg_save_markers(&cinfo_, JPEG_APP0 + 1, 0xFFFF);
      jpeg_read_header(&cinfo_, TRUE);
    });
  }
  ~Decompressor() { jpeg_destroy_decompress(&cinfo_); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  jpeg_decompress_struct& cinfo() { return cinfo_; }

  template <typename Step>
  void run(const Step& step) {
    if (!guarded(errors_.guard, step)) {
      // The constructor runs steps, too: no destructor follows when it throws.
      jpeg_destroy_decompress(&cinfo_);
      fail_damaged(name_, "JPEG", errors_.guard.message);
    }
  }

 private:
  const std::string& name_;
  ErrorManager errors_;
  jpeg_decompress_struct cinfo_ = {};
};

int orientation_of(const jpeg_decompress_struct& cinfo) {
  constexpr char kHead[6] = {'E', 'x', 'i', 'f', 0, 0};
  for (const jpeg_marker_struct* marker = cinfo.marker_list; marker; marker = marker->next) {
    if (marker->marker != JPEG_APP0 + 1 || marker->data_length < sizeof(kHead)) continue;
    if (std::memcmp(marker->data, kHead, sizeof(kHead)) != 0) continue;
    return exif_orientation({marker->data + sizeof(kHead), marker->data_length - sizeof(kHead)});
  }
  return 1;
}

Pixels choose_output(jpeg_decompress_struct& cinfo, int channels) {
  switch (cinfo.jpeg_color_space) {
    case JCS_CMYK:
    case JCS_YCCK:
      cinfo.out_color_space = JCS_CMYK;
      return cinfo.saw_Adobe_marker ? Pixels::kCmykInverted : Pixels::kCmyk;
    case JCS_GRAYSCALE:
      cinfo.out_color_space = JCS_GRAYSCALE;
      return Pixels::kGrey;
    case JCS_YCbCr:
      // Y is the luma: no need to make colours first.
      cinfo.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
      return channels == 1 ? Pixels::kGrey : Pixels::kRgb;
    default:
      cinfo.out_color_space = JCS_RGB;
      return Pixels::kRgb;
  }
}

// Of the factors that libjpeg-turbo has fast transforms for. Sides that it would round up are left
// alone: all pixels would lie a little off.
int choose_shrink(const Info& info, const DecodeOptions& options) {
  if (options.enough_width <= 0 || options.enough_height <= 0) return 1;
  for (const int shrink : {8, 4, 2}) {
    if (info.width % shrink == 0 && info.height % shrink == 0 &&
        info.width / shrink >= options.enough_width &&
        info.height / shrink >= options.enough_height) {
      return shrink;
    }
  }
  return 1;
}

}  // namespace

Info probe_jpeg(Bytes bytes, const std::string& name) {
  Decompressor jpeg(bytes, name);
  const jpeg_decompress_struct& cinfo = jpeg.cinfo();
  Info info;
  info.format = Format::kJpeg;
  info.bits = cinfo.data_precision;
  info.mode = cinfo.num_components == 1   ? Mode::kGrey
              : cinfo.num_components == 4 ? Mode::kCmyk
                                          : Mode::kRgb;
  info.orientation = orientation_of(cinfo);
  info.width = cinfo.image_width;
  info.height = cinfo.image_height;
  if (is_transposed(info.orientation)) std::swap(info.width, info.height);
  return info;
}

Image decode_jpeg(Bytes bytes, const std::string& name, const Info& info,
                  const DecodeOptions& options) {
  Decompressor jpeg(bytes, name);
  jpeg_decompress_struct& cinfo = jpeg.cinfo();
  const Pixels pixels = choose_output(cinfo, options.channels);
  const int shrink = choose_shrink(info, options);
  cinfo.scale_denom = static_cast<unsigned>(shrink);
  Info shrunk = info;
  shrunk.width = info.width / shrink;
  shrunk.height = info.height / shrink;
  RowSink sink(shrunk, options.channels);
  std::vector<uint8_t> buffer(static_cast<size_t>(sink.stored_width()) * bytes_per_pixel(pixels));
  jpeg.run([&] {
    jpeg_start_decompress(&cinfo);
    while (cinfo.output_scanline < cinfo.output_height) {
      const int64_t y = cinfo.output_scanline;
      uint8_t* direct = sink.direct_row(y, pixels);
      JSAMPROW row = direct ? direct : buffer.data();
      jpeg_read_scanlines(&cinfo, &row, 1);
      if (!direct) sink.put(y, buffer.data(), pixels);
    }
    jpeg_finish_decompress(&cinfo);
  });
  return sink.take();
}

void decode_jpeg_tile(Bytes bytes, const std::string& name, const TileForm& form, Image& tile) {
  Decompressor jpeg(bytes, name, form.jpeg_tables);
  jpeg_decompress_struct& cinfo = jpeg.cinfo();
  if (cinfo.num_components == 3 && !form.photometric.empty()) {
    cinfo.jpeg_color_space = form.photometric == "RGB" ? JCS_RGB : JCS_YCbCr;
  }
  require_tile_size(cinfo.image_width, cinfo.image_height, tile, name);
  const Pixels pixels = choose_output(cinfo, tile.channels);
  const bool direct = bytes_per_pixel(pixels) == tile.channels;
  RowSink sink(std::move(tile));
  std::vector<uint8_t> buffer(
      direct ? 0 : static_cast<size_t>(sink.stored_width()) * bytes_per_pixel(pixels));
  jpeg.run([&] {
    jpeg_start_decompress(&cinfo);
    while (cinfo.output_scanline < cinfo.output_height) {
      const int64_t y = cinfo.output_scanline;
      JSAMPROW row = direct ? sink.direct_row(y, pixels) : buffer.data();
      jpeg_read_scanlines(&cinfo, &row, 1);
      if (!direct) sink.put(y, buffer.data(), pixels);
    }
    jpeg_finish_decompress(&cinfo);
  });
  tile = sink.take();
}

}  // namespace internal

std::vector<uint8_t> encode_jpeg(const Image& image, int quality) {
  DBPS_CHECK(1 <= quality && quality <= 100, "JPEG quality is 1 to 100");
  DBPS_CHECK(0 < image.width && image.width <= JPEG_MAX_DIMENSION && 0 < image.height &&
                 image.height <= JPEG_MAX_DIMENSION,
             "JPEG holds 1 to 65500 pixels a side");
  internal::ErrorManager errors;
  internal::install(errors);
  jpeg_compress_struct cinfo = {};
  cinfo.err = &errors.base;
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  const bool done = internal::guarded(errors.guard, [&] {
    jpeg_create_compress(&cinfo);
    jpeg_mem_dest(&cinfo, &memory, &size);
    cinfo.image_width = static_cast<JDIMENSION>(image.width);
    cinfo.image_height = static_cast<JDIMENSION>(image.height);
    cinfo.input_components = image.channels;
    cinfo.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&cinfo);
    jpeg_set_quality(&cinfo, quality, TRUE);
    const int sampling = quality >= 90 || image.channels == 1 ? 1 : 2;
    cinfo.comp_info[0].h_samp_factor = sampling;
    cinfo.comp_info[0].v_samp_factor = sampling;
    jpeg_start_compress(&cinfo, TRUE);
    while (cinfo.next_scanline < cinfo.image_height) {
      JSAMPROW row = const_cast<JSAMPROW>(image.row(cinfo.next_scanline));
      jpeg_write_scanlines(&cinfo, &row, 1);
    }
    jpeg_finish_compress(&cinfo);
  });
  jpeg_destroy_compress(&cinfo);
  const std::unique_ptr<unsigned char, decltype(&std::free)> owner(memory, &std::free);
  if (!done) throw RuntimeFault(std::string("cannot encode a JPEG: ") + errors.guard.message);
  return {memory, memory + size};
}

}  // namespace dbps::image

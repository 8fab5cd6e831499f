#include "image/bare_jpeg.h"

#include <cstdio>  // jpeglib.h needs FILE

#include <jpeglib.h>

#include "image/formats.h"
#include "image/guard.h"

namespace dbps::image {
namespace {

using internal::Guard;

struct ErrorManager {
  jpeg_error_mgr base;  // first: libjpeg hands back a pointer to it
  Guard guard;
};

void fail(j_common_ptr info) {
  reinterpret_cast<ErrorManager*>(info->err)->guard.fail("libjpeg failed");
}

}  // namespace

void decode_jpeg_bare(std::span<const uint8_t> bytes, const std::string& name, const TileForm& form,
                      std::vector<uint8_t>& rgb) {
  ErrorManager errors;
  jpeg_decompress_struct cinfo = {};
  cinfo.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = fail;
  bool done = internal::guarded(errors.guard, [&] {
    jpeg_create_decompress(&cinfo);
    if (!form.jpeg_tables.empty()) {
      jpeg_mem_src(&cinfo, form.jpeg_tables.data(), form.jpeg_tables.size());
      jpeg_read_header(&cinfo, FALSE);
    }
    jpeg_mem_src(&cinfo, bytes.data(), bytes.size());
    jpeg_read_header(&cinfo, TRUE);
    if (form.photometric == "RGB") cinfo.jpeg_color_space = JCS_RGB;
    cinfo.out_color_space = JCS_RGB;
    jpeg_start_decompress(&cinfo);
  });
  if (done) {
    const size_t stride = size_t{3} * cinfo.output_width;
    if (rgb.size() < stride * cinfo.output_height) rgb.resize(stride * cinfo.output_height);
    done = internal::guarded(errors.guard, [&] {
      while (cinfo.output_scanline < cinfo.output_height) {
        JSAMPROW row = rgb.data() + cinfo.output_scanline * stride;
        jpeg_read_scanlines(&cinfo, &row, 1);
      }
      jpeg_finish_decompress(&cinfo);
    });
  }
  jpeg_destroy_decompress(&cinfo);
  if (!done) internal::fail_damaged(name, "JPEG", errors.guard.message);
}

}  // namespace dbps::image

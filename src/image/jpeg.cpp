#include <cstdlib>
#include <memory>
#include <utility>

#include "base/error.h"
#include "image/formats.h"
#include "image/jpeg_decompressor.h"

namespace dbps::image {
namespace internal {
namespace {

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

// All rows of a picture whose output is chosen.
void read_rows(Decompressor& jpeg, Pixels pixels, RowSink& sink) {
  jpeg_decompress_struct& cinfo = jpeg.cinfo();
  const bool direct = sink.direct_row(0, pixels) != nullptr;
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
}

}  // namespace

Info probe_jpeg(Bytes bytes, const std::string& name) { return Decompressor(bytes, name).info(); }

Image decode_jpeg(Bytes bytes, const std::string& name, const Info& info,
                  const DecodeOptions& options) {
  Decompressor jpeg(bytes, name);
  jpeg_decompress_struct& cinfo = jpeg.cinfo();
  const Pixels pixels = jpeg.choose_output(options.channels);
  const int shrink = choose_shrink(info, options);
  cinfo.scale_denom = static_cast<unsigned>(shrink);
  Info shrunk = info;
  shrunk.width = info.width / shrink;
  shrunk.height = info.height / shrink;
  RowSink sink(shrunk, options.channels);
  read_rows(jpeg, pixels, sink);
  return sink.take();
}

void decode_jpeg_tile(Bytes bytes, const std::string& name, const TileForm& form, Image& tile) {
  Decompressor jpeg(bytes, name, form.jpeg_tables);
  jpeg_decompress_struct& cinfo = jpeg.cinfo();
  if (cinfo.num_components == 3 && !form.photometric.empty()) {
    cinfo.jpeg_color_space = form.photometric == "RGB" ? JCS_RGB : JCS_YCbCr;
  }
  require_tile_size(cinfo.image_width, cinfo.image_height, tile, name);
  const Pixels pixels = jpeg.choose_output(tile.channels);
  RowSink sink(std::move(tile));
  read_rows(jpeg, pixels, sink);
  tile = sink.take();
}

}  // namespace internal

std::vector<uint8_t> encode_jpeg(const Image& image, int quality) {
  DBPS_CHECK(1 <= quality && quality <= 100, "JPEG quality is 1 to 100");
  DBPS_CHECK(0 < image.width && image.width <= JPEG_MAX_DIMENSION && 0 < image.height &&
                 image.height <= JPEG_MAX_DIMENSION,
             "JPEG holds 1 to 65500 pixels a side");
  internal::JpegErrors errors;
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

#include <new>
#include <utility>

#include "base/error.h"
#include "image/formats.h"
#include "image/png_reader.h"

namespace dbps::image {
namespace internal {
Info probe_png(Bytes bytes, const std::string& name) { return PngReader(bytes, name).info(); }

Image decode_png(Bytes bytes, const std::string& name, const Info& info, int channels) {
  PngReader reader(bytes, name);
  png_structp png = reader.png();
  const Pixels pixels = reader.choose_output();
  int passes = 1;
  reader.run([&] {
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, reader.png_info());
  });
  RowSink sink(info, channels);
  const size_t row_bytes = static_cast<size_t>(sink.stored_width()) * bytes_per_pixel(pixels);
  // Every pass of an interlaced picture needs what the one before left: it is kept whole.
  const size_t kept_rows = passes > 1 ? static_cast<size_t>(sink.stored_height()) : 1;
  std::vector<uint8_t> buffer(row_bytes * kept_rows);
  reader.run([&] {
    for (int pass = 0; pass < passes; ++pass) {
      for (int64_t y = 0; y < sink.stored_height(); ++y) {
        uint8_t* kept = buffer.data() + (passes > 1 ? row_bytes * static_cast<size_t>(y) : 0);
        uint8_t* direct = passes > 1 ? nullptr : sink.direct_row(y, pixels);
        png_read_row(png, direct ? direct : kept, nullptr);
        if (!direct && pass == passes - 1) sink.put(y, kept, pixels);
      }
    }
    png_read_end(png, nullptr);
  });
  return sink.take();
}

namespace {

struct Output {
  std::vector<uint8_t> bytes;
  bool memory_exhausted = false;
};

void append(png_structp png, png_bytep data, size_t size) {
  Output& output = *static_cast<Output*>(png_get_io_ptr(png));
  try {
    output.bytes.insert(output.bytes.end(), data, data + size);
  } catch (const std::bad_alloc&) {
    output.memory_exhausted = true;
  }
  if (output.memory_exhausted) png_error(png, "out of memory");
}

}  // namespace
}  // namespace internal

std::vector<uint8_t> encode_png(const Image& image, int level) {
  DBPS_CHECK(0 <= level && level <= 9, "PNG compression levels are 0 to 9");
  DBPS_CHECK(0 < image.width && image.width <= PNG_UINT_31_MAX && 0 < image.height &&
                 image.height <= PNG_UINT_31_MAX,
             "PNG holds 1 to 2^31 - 1 pixels a side");
  internal::Guard guard;
  internal::Output output;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &guard, internal::fail_png_step,
                                            internal::ignore_png_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  const bool done =
      info && internal::guarded(guard, [&] {
        png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
        png_set_write_fn(png, &output, internal::append, nullptr);
        png_set_compression_level(png, level);
        png_set_IHDR(png, info, static_cast<png_uint_32>(image.width),
                     static_cast<png_uint_32>(image.height), 8,
                     image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_write_info(png, info);
        for (int64_t y = 0; y < image.height; ++y) png_write_row(png, image.row(y));
        png_write_end(png, info);
      });
  png_destroy_write_struct(&png, &info);
  if (!done) throw RuntimeFault(std::string("cannot encode a PNG: ") + guard.message);
  return std::move(output.bytes);
}

}  // namespace dbps::image

#include <png.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/error.h"
#include "image/exif.h"
#include "image/formats.h"
#include "image/guard.h"
#include "image/rows.h"

namespace dbps::image {
namespace internal {
namespace {

void fail_step(png_structp png, const char* message) {
  static_cast<Guard*>(png_get_error_ptr(png))->fail(message);
}

// Checksums and missing data are errors to libpng; its warnings are about odd metadata.
void ignore_warning(png_structp, const char*) {}

class Reader {
 public:
  Reader(Bytes bytes, const std::string& name) : bytes_(bytes), name_(name) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &guard_, fail_step, ignore_warning);
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    if (!info_) {
      close();
      throw std::bad_alloc();
    }
    run([&] {
      png_set_read_fn(png_, this, &Reader::read);
      png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // DecodeOptions has its own
      png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
      png_read_info(png_, info_);
    });
  }
  ~Reader() { close(); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  png_structp png() { return png_; }
  png_infop info() { return info_; }

  template <typename Step>
  void run(const Step& step) {
    if (!guarded(guard_, step)) {
      close();
      fail_damaged(name_, "PNG", guard_.message);
    }
  }

 private:
  static void read(png_structp png, png_bytep target, size_t size) {
    Reader& self = *static_cast<Reader*>(png_get_io_ptr(png));
    if (size > self.bytes_.size() - self.position_) png_error(png, "the file ends too early");
    std::memcpy(target, self.bytes_.data() + self.position_, size);
    self.position_ += size;
  }
  void close() { png_destroy_read_struct(&png_, &info_, nullptr); }

  Bytes bytes_;
  size_t position_ = 0;
  const std::string& name_;
  Guard guard_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

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

int orientation_of(Reader& reader) {
  png_bytep block = nullptr;
  png_uint_32 size = 0;
  if (png_get_eXIf_1(reader.png(), reader.info(), &size, &block) == 0) return 1;
  return exif_orientation({block, size});
}

// Asks libpng for 8-bit RGB, or RGBA where there is any transparency.
Pixels choose_output(Reader& reader) {
  png_structp png = reader.png();
  const int colour_type = png_get_color_type(png, reader.info());
  const bool alpha = (colour_type & PNG_COLOR_MASK_ALPHA) != 0 ||
                     png_get_valid(png, reader.info(), PNG_INFO_tRNS) != 0;
  reader.run([&] {
    png_set_expand(png);
    png_set_gray_to_rgb(png);
  });
  return alpha ? Pixels::kRgba : Pixels::kRgb;
}

}  // namespace

Info probe_png(Bytes bytes, const std::string& name) {
  Reader reader(bytes, name);
  Info info;
  info.format = Format::kPng;
  info.mode = mode_of(png_get_color_type(reader.png(), reader.info()));
  info.bits = std::max<int>(8, png_get_bit_depth(reader.png(), reader.info()));
  info.width = png_get_image_width(reader.png(), reader.info());
  info.height = png_get_image_height(reader.png(), reader.info());
  info.orientation = orientation_of(reader);
  if (is_transposed(info.orientation)) std::swap(info.width, info.height);
  return info;
}

Image decode_png(Bytes bytes, const std::string& name, const Info& info, int channels) {
  Reader reader(bytes, name);
  png_structp png = reader.png();
  const Pixels pixels = choose_output(reader);
  int passes = 1;
  reader.run([&] {
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, reader.info());
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
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &guard, internal::fail_step,
                                            internal::ignore_warning);
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

#include "image/row_decoder.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/error.h"
#include "image/jpeg_decompressor.h"
#include "image/png_reader.h"

namespace dbps::image::internal {
namespace {

constexpr double kMostCoefficients = 2e8;  // of a progressive JPEG, 2 bytes each

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File open_file(const std::string& path) {
  File file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) throw DataError(errno_message(fmt::format("cannot open {}", path)));
  return file;
}

class JpegRows final : public RowDecoder {
 public:
  explicit JpegRows(const std::string& path)
      : name_(path), file_(open_file(path)), jpeg_(file_.get(), name_) {
    info_ = jpeg_.info();
    jpeg_decompress_struct& cinfo = jpeg_.cinfo();
    const double coefficients =
        double{1} * cinfo.image_width * cinfo.image_height * cinfo.num_components;
    if (jpeg_has_multiple_scans(&cinfo) && coefficients > kMostCoefficients) {
      throw DataError(
          fmt::format("{}: a progressive JPEG of {} x {} pixels can only be decoded "
                      "whole; save it as a baseline JPEG or a tiled TIFF",
                      name_, info_.width, info_.height));
    }
    pixels_ = jpeg_.choose_output(3);
    jpeg_.run([&] { jpeg_start_decompress(&cinfo); });
  }

  void next(uint8_t* row) override {
    jpeg_.run([&] {
      JSAMPROW target = row;
      jpeg_read_scanlines(&jpeg_.cinfo(), &target, 1);
    });
  }

 private:
  const std::string name_;
  File file_;
  Decompressor jpeg_;
};

class PngRows final : public RowDecoder {
 public:
  explicit PngRows(const std::string& path)
      : name_(path), file_(open_file(path)), png_(file_.get(), name_) {
    info_ = png_.info();
    if (png_get_interlace_type(png_.png(), png_.png_info()) != PNG_INTERLACE_NONE) {
      throw DataError(name_ +
                      ": an interlaced PNG can only be decoded whole; save it without interlacing");
    }
    pixels_ = png_.choose_output();
    png_.run([&] { png_read_update_info(png_.png(), png_.png_info()); });
  }

  void next(uint8_t* row) override {
    png_.run([&] { png_read_row(png_.png(), row, nullptr); });
  }

 private:
  const std::string name_;
  File file_;
  PngReader png_;
};

}  // namespace

std::unique_ptr<RowDecoder> open_jpeg_rows(const std::string& path) {
  return std::make_unique<JpegRows>(path);
}

std::unique_ptr<RowDecoder> open_png_rows(const std::string& path) {
  return std::make_unique<PngRows>(path);
}

}  // namespace dbps::image::internal

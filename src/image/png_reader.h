// libpng's reader with errors as exceptions. Private to this room.
#pragma once

#include <png.h>

#include <cstdio>
#include <string>

#include "image/formats.h"
#include "image/guard.h"
#include "image/rows.h"

namespace dbps::image::internal {

// libpng's callbacks; the error pointer is a Guard.
void fail_png_step(png_structp png, const char* message);
void ignore_png_warning(png_structp png, const char* message);

// The header has been read when it is made.
class PngReader {
 public:
  // Borrow the bytes or the file, and the name.
  PngReader(Bytes bytes, const std::string& name);
  PngReader(std::FILE* file, const std::string& name);
  ~PngReader() { close(); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  png_structp png() { return png_; }
  png_infop png_info() { return info_; }
  Info info();
  // Asks for 8-bit RGB, or RGBA where there is any transparency.
  Pixels choose_output();

  // Throws DataError for what libpng finds wrong.
  template <typename Step>
  void run(const Step& step) {
    if (!guarded(guard_, step)) {
      close();
      fail_damaged(name_, "PNG", guard_.message);
    }
  }

 private:
  void open();
  void close() { png_destroy_read_struct(&png_, &info_, nullptr); }
  static void read(png_structp png, png_bytep target, size_t size);

  Bytes bytes_;
  size_t position_ = 0;
  std::FILE* file_ = nullptr;  // in place of bytes
  const std::string& name_;
  Guard guard_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace dbps::image::internal

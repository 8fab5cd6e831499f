// A picture of any size, decoded row by row from its file. Private to this room.
#pragma once

#include <memory>
#include <string>

#include "image/codec.h"
#include "image/rows.h"

namespace dbps::image::internal {

class RowDecoder {
 public:
  virtual ~RowDecoder() = default;
  const Info& info() const { return info_; }
  Pixels pixels() const { return pixels_; }  // of the rows
  // The next row, bytes_per_pixel(pixels()) a pixel. Throws DataError.
  virtual void next(uint8_t* row) = 0;

 protected:
  Info info_;
  Pixels pixels_ = Pixels::kRgb;
};

// Throw DataError, also for a picture that can only be decoded whole and is too large for that.
std::unique_ptr<RowDecoder> open_jpeg_rows(const std::string& path);
std::unique_ptr<RowDecoder> open_png_rows(const std::string& path);

}  // namespace dbps::image::internal

// libjpeg's decompressor with errors as exceptions. Private to this room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>  // jpeglib.h needs FILE

#include <jpeglib.h>

#include <string>

#include "image/formats.h"
#include "image/guard.h"
#include "image/rows.h"

namespace dbps::image::internal {

struct JpegErrors {
  jpeg_error_mgr base;  // first: libjpeg hands back a pointer to it
  Guard guard;
};

// Failures end the guarded step; so do warnings, but for those about metadata.
void install(JpegErrors& errors);

// The header has been read when it is made.
class Decompressor {
 public:
  // `tables`: a JPEG stream of tables alone that is read first, or nothing. Borrows all of it.
  Decompressor(Bytes bytes, const std::string& name, Bytes tables = {});
  Decompressor(std::FILE* file, const std::string& name);
  ~Decompressor() { jpeg_destroy_decompress(&cinfo_); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  jpeg_decompress_struct& cinfo() { return cinfo_; }
  Info info() const;
  // Before the start: what rows will hold, for a picture of 3 or 1 channels.
  Pixels choose_output(int channels);

  // Throws DataError for what libjpeg finds wrong.
  template <typename Step>
  void run(const Step& step) {
    if (!guarded(errors_.guard, step)) {
      // The constructor runs steps, too: no destructor follows when it throws.
      jpeg_destroy_decompress(&cinfo_);
      fail_damaged(name_, "JPEG", errors_.guard.message);
    }
  }

 private:
  template <typename SetSource>
  void open(const SetSource& set_source);

  const std::string& name_;
  JpegErrors errors_;
  jpeg_decompress_struct cinfo_ = {};
};

}  // namespace dbps::image::internal

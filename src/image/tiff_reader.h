// A TIFF that libtiff reads from memory or from a file, with errors as exceptions. Private to this
// room.
#pragma once

#include <tiffio.h>

#include <cstdarg>
#include <cstdint>
#include <memory>
#include <string>

#include "image/formats.h"
#include "image/rows.h"

namespace dbps::image::internal {

// One thread at a time.
class TiffReader {
 public:
  // `memory_limit`: the most bytes that libtiff may ask for at once; a damaged directory can claim
  // any size. Borrows bytes, or the descriptor, and the name. Throw DataError.
  TiffReader(Bytes bytes, const std::string& name, uint64_t memory_limit);
  TiffReader(int fd, uint64_t bytes, const std::string& name, uint64_t memory_limit);
  TiffReader(const TiffReader&) = delete;
  TiffReader& operator=(const TiffReader&) = delete;

  TIFF* tiff() { return tiff_.get(); }

  uint32_t tag(uint32_t which, uint32_t otherwise);
  uint16_t short_tag(uint32_t which);  // or its default

  Info info();  // of the present directory
  // What the RGBA words of libtiff hold for it.
  Pixels output();
  // Throws DataError for a directory whose pixels libtiff does not turn into RGBA.
  void require_readable();

  // From now on a warning is damage; in a directory it is an unknown tag or the like.
  void watch_pixels() { watching_pixels_ = true; }
  bool is_damaged() const { return message_[0] != 0; }
  [[noreturn]] void fail();

 private:
  void open(uint64_t memory_limit);
  void note(const char* format, va_list arguments);

  static int note_error(TIFF*, void* user, const char*, const char* format, va_list arguments);
  static int note_warning(TIFF*, void* user, const char*, const char* format, va_list arguments);
  static tmsize_t read(thandle_t handle, void* target, tmsize_t size);
  static tmsize_t write(thandle_t, void*, tmsize_t);
  static toff_t seek(thandle_t handle, toff_t offset, int whence);
  static int close(thandle_t);
  static toff_t size(thandle_t handle);
  static int map(thandle_t handle, void** base, toff_t* size);
  static void unmap(thandle_t, void*, toff_t);

  const uint8_t* memory_ = nullptr;  // or else
  int fd_ = -1;
  uint64_t size_ = 0;
  uint64_t position_ = 0;
  const std::string& name_;
  bool watching_pixels_ = false;
  char message_[256] = "";
  std::unique_ptr<TIFF, decltype(&TIFFClose)> tiff_{nullptr, &TIFFClose};
};

}  // namespace dbps::image::internal

#include "image/tiff_reader.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace dbps::image::internal {
namespace {

static_assert(std::endian::native == std::endian::little,
              "libtiff packs RGBA into words: their bytes are R, G, B, A only here");

TiffReader& self(thandle_t handle) { return *static_cast<TiffReader*>(handle); }

int alpha_kind(TIFF* tiff) {  // EXTRASAMPLE_*, or -1: no extra channel
  uint16_t count = 0;
  uint16_t* kinds = nullptr;
  if (!TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds) || count == 0) return -1;
  return kinds[0];
}

Mode mode_of(TiffReader& reader) {
  const uint32_t samples = reader.short_tag(TIFFTAG_SAMPLESPERPIXEL);
  switch (reader.short_tag(TIFFTAG_PHOTOMETRIC)) {
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_MINISWHITE:
      return samples > 1 ? Mode::kGreyAlpha : Mode::kGrey;
    case PHOTOMETRIC_PALETTE:
      return Mode::kPalette;
    case PHOTOMETRIC_SEPARATED:
      return Mode::kCmyk;
    default:
      return samples > 3 ? Mode::kRgba : Mode::kRgb;
  }
}

}  // namespace

TiffReader::TiffReader(Bytes bytes, const std::string& name, uint64_t memory_limit)
    : memory_(bytes.data()), size_(bytes.size()), name_(name) {
  open(memory_limit);
}

TiffReader::TiffReader(int fd, uint64_t bytes, const std::string& name, uint64_t memory_limit)
    : fd_(fd), size_(bytes), name_(name) {
  open(memory_limit);
}

// libtiff returns from its error callbacks, so nothing is jumped over.
void TiffReader::open(uint64_t memory_limit) {
  const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(
      TIFFOpenOptionsAlloc(), &TIFFOpenOptionsFree);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(memory_limit));
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), &TiffReader::note_error, this);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), &TiffReader::note_warning, this);
  // Mapped memory is where it lies; a file is read piece by piece.
  const char* mode = fd_ < 0 ? "r" : "rm";
  tiff_.reset(TIFFClientOpenExt(name_.c_str(), mode, this, &TiffReader::read, &TiffReader::write,
                                &TiffReader::seek, &TiffReader::close, &TiffReader::size,
                                &TiffReader::map, &TiffReader::unmap, options.get()));
  if (!tiff_) fail();
}

uint32_t TiffReader::tag(uint32_t which, uint32_t otherwise) {
  uint32_t value = otherwise;
  return TIFFGetField(tiff(), which, &value) ? value : otherwise;
}

uint16_t TiffReader::short_tag(uint32_t which) {
  uint16_t value = 0;
  TIFFGetFieldDefaulted(tiff(), which, &value);
  return value;
}

Info TiffReader::info() {
  Info info;
  info.format = Format::kTiff;
  info.width = tag(TIFFTAG_IMAGEWIDTH, 0);
  info.height = tag(TIFFTAG_IMAGELENGTH, 0);
  info.bits = std::max<int>(8, short_tag(TIFFTAG_BITSPERSAMPLE));
  info.mode = mode_of(*this);
  const int orientation = short_tag(TIFFTAG_ORIENTATION);
  info.orientation = 1 <= orientation && orientation <= 8 ? orientation : 1;
  if (is_transposed(info.orientation)) std::swap(info.width, info.height);
  return info;
}

// It applies the alpha of colours itself, that of grey only when the channels lie in planes.
Pixels TiffReader::output() {
  const bool applied = mode_of(*this) != Mode::kGreyAlpha ||
                       short_tag(TIFFTAG_PLANARCONFIG) != PLANARCONFIG_CONTIG ||
                       alpha_kind(tiff()) == EXTRASAMPLE_ASSOCALPHA;
  return applied ? Pixels::kRgbaPremultiplied : Pixels::kRgba;
}

void TiffReader::require_readable() {
  const uint16_t sample_format = short_tag(TIFFTAG_SAMPLEFORMAT);
  if (sample_format != SAMPLEFORMAT_UINT && sample_format != SAMPLEFORMAT_VOID) {
    throw DataError(name_ + ": TIFF samples that are not unsigned whole numbers are not supported");
  }
  const uint16_t compression = short_tag(TIFFTAG_COMPRESSION);
  if (!TIFFIsCODECConfigured(compression)) {
    throw DataError(name_ + ": TIFF of compression " + std::to_string(compression) +
                    " is not supported");
  }
  char reason[1024] = "";
  if (!TIFFRGBAImageOK(tiff(), reason)) {
    throw DataError(name_ + ": this kind of TIFF is not supported: " + reason);
  }
}

void TiffReader::fail() {
  std::string reason = is_damaged() ? message_ : "the pixels cannot be read";
  // Some of libtiff's messages begin with the name.
  if (reason.starts_with(name_ + ": ")) reason.erase(0, name_.size() + 2);
  fail_damaged(name_, "TIFF", reason);
}

void TiffReader::note(const char* format, va_list arguments) {
  if (!is_damaged()) std::vsnprintf(message_, sizeof(message_), format, arguments);
}

int TiffReader::note_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  static_cast<TiffReader*>(user)->note(format, arguments);
  return 1;
}

int TiffReader::note_warning(TIFF*, void* user, const char*, const char* format,
                             va_list arguments) {
  TiffReader& reader = *static_cast<TiffReader*>(user);
  if (reader.watching_pixels_) reader.note(format, arguments);
  return 1;
}

tmsize_t TiffReader::read(thandle_t handle, void* target, tmsize_t size) {
  TiffReader& reader = self(handle);
  const uint64_t start = std::min(reader.position_, reader.size_);
  const uint64_t count = std::min<uint64_t>(static_cast<uint64_t>(size), reader.size_ - start);
  uint64_t done = 0;
  if (reader.memory_ != nullptr) {
    std::memcpy(target, reader.memory_ + start, count);
    done = count;
  }
  while (done < count && reader.fd_ >= 0) {
    const ssize_t got = ::pread(reader.fd_, static_cast<uint8_t*>(target) + done, count - done,
                                static_cast<off_t>(start + done));
    if (got <= 0) break;
    done += static_cast<uint64_t>(got);
  }
  reader.position_ = start + done;
  return static_cast<tmsize_t>(done);
}

tmsize_t TiffReader::write(thandle_t, void*, tmsize_t) { return 0; }

toff_t TiffReader::seek(thandle_t handle, toff_t offset, int whence) {
  TiffReader& reader = self(handle);
  const uint64_t from = whence == SEEK_SET   ? 0
                        : whence == SEEK_CUR ? reader.position_
                                             : reader.size_;
  return reader.position_ = from + offset;
}

int TiffReader::close(thandle_t) { return 0; }

toff_t TiffReader::size(thandle_t handle) { return self(handle).size_; }

int TiffReader::map(thandle_t handle, void** base, toff_t* size) {
  const TiffReader& reader = self(handle);
  if (reader.memory_ == nullptr) return 0;
  *base = const_cast<uint8_t*>(reader.memory_);
  *size = reader.size_;
  return 1;
}

void TiffReader::unmap(thandle_t, void*, toff_t) {}

}  // namespace dbps::image::internal

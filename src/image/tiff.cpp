#include <tiffio.h>

#include <algorithm>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "base/error.h"
#include "image/formats.h"
#include "image/rows.h"

namespace dbps::image::internal {
namespace {

static_assert(std::endian::native == std::endian::little,
              "libtiff packs RGBA into words: their bytes are R, G, B, A only here");

// A TIFF in memory. libtiff returns from its error callbacks, so nothing is jumped over.
class Reader {
 public:
  // `memory_limit`: the most bytes that libtiff may ask for at once; a damaged directory can claim
  // any size.
  Reader(Bytes bytes, const std::string& name, uint64_t memory_limit) : bytes_(bytes), name_(name) {
    const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(
        TIFFOpenOptionsAlloc(), &TIFFOpenOptionsFree);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(memory_limit));
    TIFFOpenOptionsSetErrorHandlerExtR(options.get(), &Reader::note_error, this);
    TIFFOpenOptionsSetWarningHandlerExtR(options.get(), &Reader::note_warning, this);
    tiff_.reset(TIFFClientOpenExt(name.c_str(), "r", this, &Reader::read, &Reader::write,
                                  &Reader::seek, &Reader::close, &Reader::size, &Reader::map,
                                  &Reader::unmap, options.get()));
    if (!tiff_) fail();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  TIFF* tiff() { return tiff_.get(); }

  uint32_t tag(uint32_t which, uint32_t otherwise) {
    uint32_t value = otherwise;
    return TIFFGetField(tiff(), which, &value) ? value : otherwise;
  }
  uint16_t short_tag(uint32_t which) {
    uint16_t value = 0;
    TIFFGetFieldDefaulted(tiff(), which, &value);
    return value;
  }

  // From now on a warning is damage; in a directory it is an unknown tag or the like.
  void watch_pixels() { watching_pixels_ = true; }
  bool is_damaged() const { return message_[0] != 0; }
  [[noreturn]] void fail() {
    fail_damaged(name_, "TIFF", is_damaged() ? message_ : "the pixels cannot be read");
  }

 private:
  static Reader& self(thandle_t handle) { return *static_cast<Reader*>(handle); }

  void note(const char* format, va_list arguments) {
    if (!is_damaged()) std::vsnprintf(message_, sizeof(message_), format, arguments);
  }
  static int note_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
    static_cast<Reader*>(user)->note(format, arguments);
    return 1;
  }
  static int note_warning(TIFF*, void* user, const char*, const char* format, va_list arguments) {
    Reader& reader = *static_cast<Reader*>(user);
    if (reader.watching_pixels_) reader.note(format, arguments);
    return 1;
  }
  static tmsize_t read(thandle_t handle, void* target, tmsize_t size) {
    Reader& reader = self(handle);
    const uint64_t end = reader.bytes_.size();
    const uint64_t start = std::min(reader.position_, end);
    const uint64_t count = std::min<uint64_t>(static_cast<uint64_t>(size), end - start);
    std::memcpy(target, reader.bytes_.data() + start, count);
    reader.position_ = start + count;
    return static_cast<tmsize_t>(count);
  }
  static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
  static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    Reader& reader = self(handle);
    const uint64_t from = whence == SEEK_SET   ? 0
                          : whence == SEEK_CUR ? reader.position_
                                               : reader.bytes_.size();
    return reader.position_ = from + offset;
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t handle) { return self(handle).bytes_.size(); }
  static int map(thandle_t handle, void** base, toff_t* size) {
    *base = const_cast<uint8_t*>(self(handle).bytes_.data());
    *size = self(handle).bytes_.size();
    return 1;
  }
  static void unmap(thandle_t, void*, toff_t) {}

  Bytes bytes_;
  uint64_t position_ = 0;
  const std::string& name_;
  bool watching_pixels_ = false;
  char message_[256] = "";
  std::unique_ptr<TIFF, decltype(&TIFFClose)> tiff_{nullptr, &TIFFClose};
};

uint64_t directory_limit(Bytes bytes) { return (uint64_t{64} << 20) + 8 * bytes.size(); }

int alpha_kind(Reader& reader) {  // EXTRASAMPLE_*, or -1: no extra channel
  uint16_t count = 0;
  uint16_t* kinds = nullptr;
  if (!TIFFGetField(reader.tiff(), TIFFTAG_EXTRASAMPLES, &count, &kinds) || count == 0) return -1;
  return kinds[0];
}

Mode mode_of(Reader& reader) {
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

// What the RGBA words of libtiff hold: it applies the alpha of colours itself, that of grey only
// when the channels lie in planes.
Pixels output_of(Reader& reader, const Info& info) {
  const bool applied = info.mode != Mode::kGreyAlpha ||
                       reader.short_tag(TIFFTAG_PLANARCONFIG) != PLANARCONFIG_CONTIG ||
                       alpha_kind(reader) == EXTRASAMPLE_ASSOCALPHA;
  return applied ? Pixels::kRgbaPremultiplied : Pixels::kRgba;
}

}  // namespace

Info probe_tiff(Bytes bytes, const std::string& name) {
  Reader reader(bytes, name, directory_limit(bytes));
  Info info;
  info.format = Format::kTiff;
  info.width = reader.tag(TIFFTAG_IMAGEWIDTH, 0);
  info.height = reader.tag(TIFFTAG_IMAGELENGTH, 0);
  info.bits = std::max<int>(8, reader.short_tag(TIFFTAG_BITSPERSAMPLE));
  info.mode = mode_of(reader);
  const int orientation = reader.short_tag(TIFFTAG_ORIENTATION);
  info.orientation = 1 <= orientation && orientation <= 8 ? orientation : 1;
  if (is_transposed(info.orientation)) std::swap(info.width, info.height);
  return info;
}

Image decode_tiff(Bytes bytes, const std::string& name, const Info& info, int channels) {
  const uint64_t pixels = static_cast<uint64_t>(info.width) * static_cast<uint64_t>(info.height);
  Reader reader(bytes, name, directory_limit(bytes) + 8 * pixels);
  const uint16_t sample_format = reader.short_tag(TIFFTAG_SAMPLEFORMAT);
  if (sample_format != SAMPLEFORMAT_UINT && sample_format != SAMPLEFORMAT_VOID) {
    throw DataError(name + ": TIFF samples that are not unsigned whole numbers are not supported");
  }
  char reason[1024] = "";
  TIFFRGBAImage rgba = {};
  if (!TIFFRGBAImageOK(reader.tiff(), reason) ||
      !TIFFRGBAImageBegin(&rgba, reader.tiff(), /*stop_on_error=*/1, reason)) {
    throw DataError(name + ": this kind of TIFF is not supported: " + reason);
  }
  const std::unique_ptr<TIFFRGBAImage, decltype(&TIFFRGBAImageEnd)> owner(&rgba, &TIFFRGBAImageEnd);
  rgba.orientation = rgba.req_orientation = ORIENTATION_TOPLEFT;  // RowSink turns the rows
  reader.watch_pixels();

  RowSink sink(info, channels);
  const Pixels kind = output_of(reader, info);
  const uint32_t width = static_cast<uint32_t>(sink.stored_width());
  const uint32_t height = static_cast<uint32_t>(sink.stored_height());
  // A band is a row of tiles or a strip, so that each is decoded once.
  const uint32_t unit = TIFFIsTiled(reader.tiff()) ? reader.tag(TIFFTAG_TILELENGTH, height)
                                                   : reader.tag(TIFFTAG_ROWSPERSTRIP, height);
  const uint32_t band = std::clamp<uint32_t>(unit, 1, height);
  std::vector<uint32_t> words(static_cast<size_t>(width) * band);
  for (uint32_t y = 0; y < height; y += band) {
    const uint32_t rows = std::min(band, height - y);
    rgba.row_offset = static_cast<int>(y);
    if (!TIFFRGBAImageGet(&rgba, words.data(), width, rows) || reader.is_damaged()) reader.fail();
    for (uint32_t row = 0; row < rows; ++row) {
      sink.put(y + row, reinterpret_cast<const uint8_t*>(words.data() + size_t{row} * width), kind);
    }
  }
  return sink.take();
}

}  // namespace dbps::image::internal

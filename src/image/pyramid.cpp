#include "image/pyramid.h"

#include <fmt/format.h>
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "base/error.h"
#include "image/resize.h"
#include "image/slide_formats.h"

namespace dbps::image {
namespace {

int64_t smaller_side(int64_t side, int64_t shrink) { return (side + shrink - 1) / shrink; }

}  // namespace

struct PyramidWriter::State {
  std::string name;
  PyramidOptions options;
  char message[256] = "";
  std::unique_ptr<TIFF, decltype(&TIFFClose)> tiff{nullptr, &TIFFClose};
  Image next;  // level 1, as far as its rows have come
  int64_t rows_done = 0;

  [[noreturn]] void fail() const {
    throw RuntimeFault(fmt::format("cannot write {}: {}", name, message));
  }

  static int note(TIFF*, void* user, const char*, const char* format, va_list arguments) {
    State& state = *static_cast<State*>(user);
    if (state.message[0] == 0) {
      std::vsnprintf(state.message, sizeof(state.message), format, arguments);
    }
    return 1;
  }
  static int ignore(TIFF*, void*, const char*, const char*, va_list) { return 1; }

  void open() {
    const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> how(
        TIFFOpenOptionsAlloc(), &TIFFOpenOptionsFree);
    TIFFOpenOptionsSetErrorHandlerExtR(how.get(), &State::note, this);
    TIFFOpenOptionsSetWarningHandlerExtR(how.get(), &State::ignore, this);
    tiff.reset(TIFFOpenExt(name.c_str(), "w", how.get()));
    if (!tiff) fail();
  }

  void begin_level(int64_t width, int64_t height, int level, double downsample) {
    TIFF* out = tiff.get();
    const auto set = [&](uint32_t tag, auto value) {
      if (!TIFFSetField(out, tag, value)) fail();
    };
    if (level > 0) set(TIFFTAG_SUBFILETYPE, uint32_t{FILETYPE_REDUCEDIMAGE});
    set(TIFFTAG_IMAGEWIDTH, static_cast<uint32_t>(width));
    set(TIFFTAG_IMAGELENGTH, static_cast<uint32_t>(height));
    set(TIFFTAG_TILEWIDTH, static_cast<uint32_t>(options.tile));
    set(TIFFTAG_TILELENGTH, static_cast<uint32_t>(options.tile));
    set(TIFFTAG_BITSPERSAMPLE, 8);
    set(TIFFTAG_SAMPLESPERPIXEL, 3);
    set(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    if (options.quality == 0) {
      set(TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
    } else {
      set(TIFFTAG_COMPRESSION, COMPRESSION_JPEG);
      set(TIFFTAG_JPEGQUALITY, options.quality);
    }
    if (options.rgb || options.quality == 0) {
      set(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB);
    } else {
      set(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_YCBCR);
      set(TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
      if (!TIFFSetField(out, TIFFTAG_YCBCRSUBSAMPLING, 2, 2)) fail();
    }
    if (options.mpp > 0) {
      const float per_cm = static_cast<float>(1e4 / (options.mpp * downsample));
      set(TIFFTAG_RESOLUTIONUNIT, RESUNIT_CENTIMETER);
      set(TIFFTAG_XRESOLUTION, per_cm);
      set(TIFFTAG_YRESOLUTION, per_cm);
    }
  }

  // A row of tiles; beyond the picture they are white.
  void write_tiles(const Image& band, int64_t y) {
    Image tile(options.tile, options.tile, 3);
    for (int64_t x = 0; x < band.width; x += options.tile) {
      std::fill(tile.pixels.begin(), tile.pixels.end(), uint8_t{255});
      internal::copy_overlap(band, 0, 0, tile, x, 0);
      const uint32_t index =
          TIFFComputeTile(tiff.get(), static_cast<uint32_t>(x), static_cast<uint32_t>(y), 0, 0);
      const auto size = static_cast<tmsize_t>(tile.pixels.size());
      if (TIFFWriteEncodedTile(tiff.get(), index, tile.pixels.data(), size) != size) fail();
    }
  }

  void end_level() {
    if (!TIFFWriteDirectory(tiff.get())) fail();
  }

  void write_level(const Image& picture, int level, double downsample) {
    begin_level(picture.width, picture.height, level, downsample);
    for (int64_t y = 0; y < picture.height; y += options.tile) {
      Image band(picture.width, std::min(options.tile, picture.height - y), 3);
      internal::copy_overlap(picture, 0, 0, band, 0, y);
      write_tiles(band, y);
    }
    end_level();
  }
};

PyramidWriter::PyramidWriter(const std::filesystem::path& path, const PyramidOptions& options)
    : state_(std::make_unique<State>()) {
  DBPS_CHECK(options.width > 0 && options.height > 0 && options.tile % 16 == 0 &&
                 options.tile % options.shrink == 0,
             "a pyramid's tiles are multiples of 16 and of its shrink");
  State& state = *state_;
  state.name = path.string();
  state.options = options;
  state.next = Image(smaller_side(options.width, options.shrink),
                     smaller_side(options.height, options.shrink), 3);
  state.open();
  state.begin_level(options.width, options.height, 0, 1);
}

PyramidWriter::~PyramidWriter() = default;

void PyramidWriter::write(const Image& band) {
  State& state = *state_;
  const int64_t left = state.options.height - state.rows_done;
  DBPS_CHECK(band.width == state.options.width && band.channels == 3 &&
                 band.height == std::min(state.options.tile, left),
             "a band is a row of tiles");
  state.write_tiles(band, state.rows_done);
  shrink_into(band, state.options.shrink, state.next, state.rows_done / state.options.shrink);
  state.rows_done += band.height;
}

void PyramidWriter::finish() {
  State& state = *state_;
  const PyramidOptions& options = state.options;
  DBPS_CHECK(state.rows_done == options.height, "all bands of a pyramid come before its end");
  state.end_level();
  double downsample = options.shrink;
  for (int level = 1; level < options.levels; ++level, downsample *= options.shrink) {
    state.write_level(state.next, level, downsample);
    if (std::min(state.next.width, state.next.height) <= options.shrink) break;
    Image smaller(smaller_side(state.next.width, options.shrink),
                  smaller_side(state.next.height, options.shrink), 3);
    shrink_into(state.next, options.shrink, smaller, 0);
    state.next = std::move(smaller);
  }
  // Closing writes what is still held back; libtiff has no other way to tell that it failed.
  if (!TIFFFlush(state.tiff.get())) state.fail();
  state.tiff.reset();
  if (state.message[0] != 0) state.fail();
}

}  // namespace dbps::image

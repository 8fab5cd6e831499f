#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "image/formats.h"
#include "image/rows.h"
#include "image/tiff_reader.h"

namespace dbps::image::internal {
namespace {

uint64_t directory_limit(Bytes bytes) { return (uint64_t{64} << 20) + 8 * bytes.size(); }

}  // namespace

Info probe_tiff(Bytes bytes, const std::string& name) {
  return TiffReader(bytes, name, directory_limit(bytes)).info();
}

Image decode_tiff(Bytes bytes, const std::string& name, const Info& info, int channels) {
  const uint64_t pixels = static_cast<uint64_t>(info.width) * static_cast<uint64_t>(info.height);
  TiffReader reader(bytes, name, directory_limit(bytes) + 8 * pixels);
  reader.require_readable();
  char reason[1024] = "";
  TIFFRGBAImage rgba = {};
  if (!TIFFRGBAImageBegin(&rgba, reader.tiff(), /*stop_on_error=*/1, reason)) {
    throw DataError(name + ": this kind of TIFF is not supported: " + reason);
  }
  const std::unique_ptr<TIFFRGBAImage, decltype(&TIFFRGBAImageEnd)> owner(&rgba, &TIFFRGBAImageEnd);
  rgba.orientation = rgba.req_orientation = ORIENTATION_TOPLEFT;  // RowSink turns the rows
  reader.watch_pixels();

  RowSink sink(info, channels);
  const Pixels kind = reader.output();
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

// TIFF as a slide: the first directory, and those that are it made smaller.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "image/slide_formats.h"
#include "image/tiff_reader.h"
#include "image/tile.h"

namespace dbps::image::internal {
namespace {

constexpr uint64_t kLibraryMemory = uint64_t{512} << 20;
constexpr int64_t kMostBlockPixels = int64_t{1} << 25;  // of a tile or strip: it is decoded whole
constexpr size_t kCacheBytes = size_t{24} << 20;        // of decoded blocks, a level
constexpr uint64_t kMostTileBytes = uint64_t{1} << 28;
constexpr int kMostDirectories = 256;
// A resolution coarser than that is a printer's or a screen's, no microscope's.
constexpr double kCoarsestMpp = 20;

struct OpenFile {
  FileDescriptor descriptor;
  uint64_t bytes = 0;
  std::string name;
};

// A directory of the file, with a handle of its own: changing directories reads them again.
class Level {
 public:
  Level(const OpenFile& file, toff_t directory)
      : name_(file.name), reader_(file.descriptor.get(), file.bytes, name_, kLibraryMemory) {
    if (!TIFFSetSubDirectory(reader_.tiff(), directory)) reader_.fail();
    info_ = reader_.info();
    tiled_ = TIFFIsTiled(reader_.tiff()) != 0;
    block_width_ = tiled_ ? reader_.tag(TIFFTAG_TILEWIDTH, 0) : info_.width;
    block_height_ =
        tiled_ ? reader_.tag(TIFFTAG_TILELENGTH, 0)
               : std::min<int64_t>(reader_.tag(TIFFTAG_ROWSPERSTRIP, info_.height), info_.height);
  }

  const Info& info() const { return info_; }
  bool tiled() const { return tiled_; }
  TIFF* tiff() { return reader_.tiff(); }

  // Before the first pixel.
  void require_readable() {
    require_slide(info_, name_);
    reader_.require_readable();
    if (block_width_ < 1 || block_height_ < 1 || block_width_ > kMostBlockPixels / block_height_) {
      throw DataError(
          fmt::format("{}: its {}s of {} x {} pixels are too large to be read one by "
                      "one; save it in tiles",
                      name_, tiled_ ? "tile" : "strip", block_width_, block_height_));
    }
    find_jpeg();
    set_up_raw_buffer();
    reader_.watch_pixels();
  }

  const JpegTiles* jpeg_tiles() const { return tiled_ && is_jpeg_ ? &jpeg_ : nullptr; }

  std::vector<uint8_t> raw_block(int64_t column, int64_t row) {
    const uint32_t index = block_index(column, row);
    const uint64_t bytes = TIFFGetStrileByteCount(tiff(), index);
    if (bytes > kMostTileBytes) reader_.fail();
    std::vector<uint8_t> raw(bytes);
    if (bytes == 0) return raw;
    const tmsize_t size = static_cast<tmsize_t>(bytes);
    const tmsize_t got = tiled_ ? TIFFReadRawTile(tiff(), index, raw.data(), size)
                                : TIFFReadRawStrip(tiff(), index, raw.data(), size);
    if (got != size || reader_.is_damaged()) reader_.fail();
    return raw;
  }

  void read(int64_t left, int64_t top, Image& region) {
    std::fill(region.pixels.begin(), region.pixels.end(), uint8_t{255});
    const int64_t end_x = std::min(left + region.width, info_.width);
    const int64_t end_y = std::min(top + region.height, info_.height);
    for (int64_t row = std::max<int64_t>(top, 0) / block_height_; row * block_height_ < end_y;
         ++row) {
      for (int64_t column = std::max<int64_t>(left, 0) / block_width_;
           column * block_width_ < end_x; ++column) {
        copy_overlap(block(column, row), column * block_width_, row * block_height_, region, left,
                     top);
      }
    }
  }

 private:
  uint32_t block_index(int64_t column, int64_t row) {
    const auto x = static_cast<uint32_t>(column * block_width_);
    const auto y = static_cast<uint32_t>(row * block_height_);
    return tiled_ ? TIFFComputeTile(tiff(), x, y, 0, 0) : TIFFComputeStrip(tiff(), y, 0);
  }

  // libtiff rounds a buffer of its own up, and then refuses tiles without compression for its size.
  void set_up_raw_buffer() {
    if (!tiled_ || reader_.short_tag(TIFFTAG_COMPRESSION) != COMPRESSION_NONE) return;
    raw_.resize(static_cast<size_t>(TIFFTileSize(tiff())));
    TIFFReadBufferSetup(tiff(), raw_.data(), static_cast<tmsize_t>(raw_.size()));
  }

  void find_jpeg() {
    const uint16_t photometric = reader_.short_tag(TIFFTAG_PHOTOMETRIC);
    is_jpeg_ = reader_.short_tag(TIFFTAG_COMPRESSION) == COMPRESSION_JPEG &&
               reader_.short_tag(TIFFTAG_SAMPLESPERPIXEL) == 3 &&
               reader_.short_tag(TIFFTAG_PLANARCONFIG) == PLANARCONFIG_CONTIG &&
               (photometric == PHOTOMETRIC_RGB || photometric == PHOTOMETRIC_YCBCR);
    if (!is_jpeg_) return;
    jpeg_.width = block_width_;
    jpeg_.height = block_height_;
    jpeg_.photometric = photometric == PHOTOMETRIC_RGB ? "RGB" : "YCbCr";
    uint32_t count = 0;
    uint8_t* tables = nullptr;
    if (TIFFGetField(tiff(), TIFFTAG_JPEGTABLES, &count, &tables) && count > 0) {
      jpeg_.tables.assign(tables, tables + count);
    }
  }

  // Decoded, within the picture; the last ones are kept, for the next row of tiles asks again.
  const Image& block(int64_t column, int64_t row) {
    const uint32_t index = block_index(column, row);
    const auto found = cache_.find(index);
    if (found != cache_.end()) return found->second;
    Image decoded = decode(column, row, index);
    cached_bytes_ += decoded.pixels.size();
    for (; cached_bytes_ > kCacheBytes && !order_.empty(); order_.pop_front()) {
      cached_bytes_ -= cache_.at(order_.front()).pixels.size();
      cache_.erase(order_.front());
    }
    order_.push_back(index);
    return cache_.emplace(index, std::move(decoded)).first->second;
  }

  Image decode(int64_t column, int64_t row, uint32_t index) {
    Image image(block_width_, block_height_, 3);
    if (TIFFGetStrileByteCount(tiff(), index) == 0) {
      std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{255});
    } else if (is_jpeg_ && tiled_) {
      decode_tile(raw_block(column, row), name_, {jpeg_.tables, jpeg_.photometric}, image);
    } else {
      decode_through_rgba(column, row, image);
    }
    // What a tile holds beyond the picture is padding.
    clip(image, info_.width - column * block_width_, info_.height - row * block_height_);
    return image;
  }

  static void clip(Image& image, int64_t width, int64_t height) {
    width = std::min(width, image.width);
    height = std::min(height, image.height);
    if (width == image.width && height == image.height) return;
    Image part(width, height, 3);
    copy_overlap(image, 0, 0, part, 0, 0);
    image = std::move(part);
  }

  // libtiff gives rows from the bottom up.
  void decode_through_rgba(int64_t column, int64_t row, Image& image) {
    const auto x = static_cast<uint32_t>(column * block_width_);
    const auto y = static_cast<uint32_t>(row * block_height_);
    const int64_t rows =
        tiled_ ? block_height_ : std::min(block_height_, info_.height - row * block_height_);
    std::vector<uint32_t> words(static_cast<size_t>(block_width_ * block_height_));
    const int done = tiled_ ? TIFFReadRGBATileExt(tiff(), x, y, words.data(), 1)
                            : TIFFReadRGBAStripExt(tiff(), y, words.data(), 1);
    if (!done || reader_.is_damaged()) reader_.fail();
    RowSink sink(std::move(image));
    const Pixels kind = reader_.output();
    for (int64_t r = 0; r < rows; ++r) {
      const uint32_t* from = words.data() + (rows - 1 - r) * block_width_;
      sink.put(r, reinterpret_cast<const uint8_t*>(from), kind);
    }
    image = sink.take();
  }

  const std::string& name_;
  std::vector<uint8_t> raw_;  // borrowed by the reader
  TiffReader reader_;
  Info info_;
  bool tiled_ = false;
  int64_t block_width_ = 0;
  int64_t block_height_ = 0;
  bool is_jpeg_ = false;
  JpegTiles jpeg_;
  std::map<uint32_t, Image> cache_;
  std::deque<uint32_t> order_;
  size_t cached_bytes_ = 0;
};

// Microns a pixel, or 0.
double mpp_of(TIFF* tiff) {
  uint16_t unit = RESUNIT_NONE;
  float x = 0, y = 0;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_RESOLUTIONUNIT, &unit);
  if (!TIFFGetField(tiff, TIFFTAG_XRESOLUTION, &x) ||
      !TIFFGetField(tiff, TIFFTAG_YRESOLUTION, &y)) {
    return 0;
  }
  const double microns = unit == RESUNIT_CENTIMETER ? 1e4 : unit == RESUNIT_INCH ? 25400 : 0;
  if (!(x > 0) || !(std::abs(x - y) <= 0.02 * x)) return 0;
  const double mpp = microns / x;
  return mpp <= kCoarsestMpp ? mpp : 0;
}

// The places of all directories; those below the first one count too.
std::vector<toff_t> directories(const OpenFile& file) {
  TiffReader reader(file.descriptor.get(), file.bytes, file.name, kLibraryMemory);
  std::vector<toff_t> found = {TIFFCurrentDirOffset(reader.tiff())};
  uint16_t count = 0;
  toff_t* below = nullptr;
  if (TIFFGetField(reader.tiff(), TIFFTAG_SUBIFD, &count, &below)) {
    found.insert(found.end(), below, below + count);
  }
  while (found.size() < kMostDirectories && TIFFReadDirectory(reader.tiff())) {
    found.push_back(TIFFCurrentDirOffset(reader.tiff()));
  }
  return found;
}

class TiffSlide final : public Slide {
 public:
  explicit TiffSlide(const std::string& path) {
    file_.name = path;
    file_.descriptor = open_for_reading(path);
    file_.bytes = file_bytes(file_.descriptor, path);
    for (const toff_t directory : directories(file_)) add(directory);
    info_.format = "TIFF";
    info_.mpp = mpp_of(levels_[0]->tiff());
    const Mode mode = levels_[0]->info().mode;
    if (mode != Mode::kRgb) info_.mode = mode_name(mode);
  }

  void read(int level, int64_t x, int64_t y, Image& region) override {
    levels_.at(static_cast<size_t>(level))->read(x, y, region);
  }
  const JpegTiles* jpeg_tiles(int level) override {
    return levels_.at(static_cast<size_t>(level))->jpeg_tiles();
  }
  std::vector<uint8_t> read_jpeg_tile(int level, int64_t column, int64_t row) override {
    return levels_.at(static_cast<size_t>(level))->raw_block(column, row);
  }

 private:
  // Labels, macro pictures and thumbnails stand between the levels.
  bool continues(const Level& level) const {
    const SlideLevel& first = info_.levels.front();
    const SlideLevel& last = info_.levels.back();
    const Info& info = level.info();
    if (info.width >= last.width || info.height >= last.height || info.width < 1 ||
        info.height < 1 || level.tiled() != levels_[0]->tiled()) {
      return false;
    }
    const double down_x = static_cast<double>(first.width) / static_cast<double>(info.width);
    const double down_y = static_cast<double>(first.height) / static_cast<double>(info.height);
    // Sides are rounded, by a pixel or to whole tiles of the next level.
    const double slack = 0.01 + 2.0 / static_cast<double>(std::min(info.width, info.height));
    return std::abs(down_x - down_y) <= slack * down_x;
  }

  void add(toff_t directory) {
    auto level = std::make_unique<Level>(file_, directory);
    if (!levels_.empty() && !continues(*level)) return;
    level->require_readable();
    SlideLevel size{level->info().width, level->info().height, 1};
    if (!levels_.empty()) {
      const SlideLevel& first = info_.levels.front();
      size.downsample = (static_cast<double>(first.width) / static_cast<double>(size.width) +
                         static_cast<double>(first.height) / static_cast<double>(size.height)) /
                        2;
    }
    info_.levels.push_back(size);
    levels_.push_back(std::move(level));
  }

  OpenFile file_;
  std::vector<std::unique_ptr<Level>> levels_;
};

}  // namespace

std::unique_ptr<Slide> open_tiff_slide(const std::string& path) {
  return std::make_unique<TiffSlide>(path);
}

}  // namespace dbps::image::internal

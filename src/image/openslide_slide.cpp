// The formats of OpenSlide, with a scanner's own JPEG tiles where they lie in a TIFF as it shows
// them.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "image/openslide_library.h"
#include "image/slide_formats.h"

namespace dbps::image {
namespace internal {
namespace {

static_assert(std::endian::native == std::endian::little,
              "OpenSlide packs ARGB into words: their bytes are B, G, R, A only here");

// More at once, and OpenSlide's own buffers grow with it.
constexpr int64_t kPixelsAtOnce = int64_t{1} << 22;

class OpenSlideSlide final : public Slide {
 public:
  OpenSlideSlide(const OpenSlideLibrary& library, const std::string& path,
                 const std::string& vendor)
      : library_(library), path_(path), slide_(library.open(path.c_str()), library.close) {
    if (!slide_) throw DataError(fmt::format("{}: OpenSlide cannot open it", path));
    check();
    info_.format = vendor;
    info_.mpp = property_mpp();
    const int count = library_.get_level_count(slide_.get());
    for (int32_t level = 0; level < count; ++level) {
      SlideLevel size;
      library_.get_level_dimensions(slide_.get(), level, &size.width, &size.height);
      size.downsample = level == 0 ? 1 : library_.get_level_downsample(slide_.get(), level);
      info_.levels.push_back(size);
    }
    check();
    if (vendor == "aperio") find_tiles();
  }

  void read(int level, int64_t x, int64_t y, Image& region) override {
    const double downsample = info_.levels.at(static_cast<size_t>(level)).downsample;
    const int64_t rows = std::clamp<int64_t>(kPixelsAtOnce / region.width, 1, region.height);
    words_.resize(static_cast<size_t>(rows * region.width));
    for (int64_t first = 0; first < region.height; first += rows) {
      const int64_t count = std::min(rows, region.height - first);
      const auto level0 = [&](int64_t at) {
        return std::llround(static_cast<double>(at) * downsample);
      };
      library_.read_region(slide_.get(), words_.data(), level0(x), level0(y + first), level,
                           region.width, count);
      check();
      lay_on_white(region.row(first), count * region.width);
    }
  }

  const JpegTiles* jpeg_tiles(int level) override {
    const int place = tiff_level(level);
    return place < 0 ? nullptr : tiff_->jpeg_tiles(place);
  }
  std::vector<uint8_t> read_jpeg_tile(int level, int64_t column, int64_t row) override {
    return tiff_->read_jpeg_tile(tiff_level(level), column, row);
  }

 private:
  // OpenSlide's first error stays, and all that is read afterwards is empty.
  void check() {
    const char* error = library_.get_error(slide_.get());
    if (error != nullptr) throw DataError(fmt::format("{}: {}", path_, error));
  }

  double property_mpp() {
    const auto number = [&](const char* name) {
      const char* text = library_.get_property_value(slide_.get(), name);
      return text == nullptr ? 0 : std::strtod(text, nullptr);
    };
    const double x = number(OPENSLIDE_PROPERTY_NAME_MPP_X);
    const double y = number(OPENSLIDE_PROPERTY_NAME_MPP_Y);
    return x > 0 && y > 0 ? (x + y) / 2 : 0;
  }

  // Colours are multiplied by their alpha already.
  void lay_on_white(uint8_t* rgb, int64_t pixels) const {
    for (int64_t i = 0; i < pixels; ++i, rgb += 3) {
      const uint32_t word = words_[static_cast<size_t>(i)];
      const uint32_t white = 255 - (word >> 24);
      rgb[0] = static_cast<uint8_t>(std::min<uint32_t>(255, (word >> 16 & 255) + white));
      rgb[1] = static_cast<uint8_t>(std::min<uint32_t>(255, (word >> 8 & 255) + white));
      rgb[2] = static_cast<uint8_t>(std::min<uint32_t>(255, (word & 255) + white));
    }
  }

  // Such a slide whose tiles libtiff does not read, JPEG 2000 for one, is read by OpenSlide alone.
  void find_tiles() {
    try {
      tiff_ = open_tiff_slide(path_);
    } catch (const DataError&) {
    }
  }

  // The level of the TIFF that is this one; -1: none.
  int tiff_level(int level) const {
    if (!tiff_) return -1;
    const SlideLevel& wanted = info_.levels.at(static_cast<size_t>(level));
    const std::vector<SlideLevel>& levels = tiff_->info().levels;
    for (size_t i = 0; i < levels.size(); ++i) {
      if (levels[i].width == wanted.width && levels[i].height == wanted.height) {
        return static_cast<int>(i);
      }
    }
    return -1;
  }

  const OpenSlideLibrary& library_;
  const std::string path_;
  std::unique_ptr<openslide_t, decltype(&openslide_close)> slide_;
  std::unique_ptr<Slide> tiff_;
  std::vector<uint32_t> words_;
};

}  // namespace

std::unique_ptr<Slide> open_openslide(const std::string& path) {
  const OpenSlideLibrary* library = openslide_library();
  if (library == nullptr) return nullptr;
  const char* vendor = library->detect_vendor(path.c_str());
  if (vendor == nullptr || std::string_view(vendor) == "generic-tiff") return nullptr;
  return std::make_unique<OpenSlideSlide>(*library, path, vendor);
}

}  // namespace internal

std::string slide_series(const std::filesystem::path& path) {
  const internal::OpenSlideLibrary* library = internal::openslide_library();
  if (library == nullptr) return "";
  const std::unique_ptr<openslide_t, decltype(&openslide_close)> slide(library->open(path.c_str()),
                                                                       library->close);
  const char* series =
      slide ? library->get_property_value(slide.get(), "dicom.SeriesInstanceUID") : nullptr;
  return series == nullptr ? "" : series;
}

}  // namespace dbps::image

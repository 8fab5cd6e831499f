// A JPEG or PNG as a slide of one level, in bands: only the rows asked for last are in memory.
#include <algorithm>

#include "base/error.h"
#include "image/row_decoder.h"
#include "image/slide_formats.h"

namespace dbps::image::internal {
namespace {

class RowSlide final : public Slide {
 public:
  RowSlide(const std::string& path, OpenRows open) : path_(path), open_(open) {
    restart();
    const Info& info = decoder_->info();
    require_slide(info, path);
    info_.format = info.format == Format::kJpeg ? "JPEG" : "PNG";
    if (info.mode != Mode::kRgb) info_.mode = mode_name(info.mode);
    info_.levels.push_back({info.width, info.height, 1});
    info_.in_bands = true;
    row_.resize(static_cast<size_t>(info.width) * bytes_per_pixel(decoder_->pixels()));
  }

  void read(int, int64_t x, int64_t y, Image& region) override {
    std::fill(region.pixels.begin(), region.pixels.end(), uint8_t{255});
    const int64_t first = std::max<int64_t>(y, 0);
    const int64_t end = std::min(y + region.height, info_.levels[0].height);
    if (first >= end) return;
    if (first < first_ || end > first_ + band_.height) hold(first, end);
    copy_overlap(band_, 0, first_, region, x, y);
  }

 private:
  void restart() {
    decoder_ = open_(path_);
    next_ = 0;
    band_ = Image();
    first_ = 0;
  }

  // Makes `band_` rows first .. end-1.
  void hold(int64_t first, int64_t end) {
    if (first < first_) restart();
    Image band(info_.levels[0].width, end - first, 3);
    copy_overlap(band_, 0, first_, band, 0, first);
    for (; next_ < first; ++next_) decoder_->next(row_.data());
    RowSink sink(std::move(band));
    for (; next_ < end; ++next_) {
      decoder_->next(row_.data());
      sink.put(next_ - first, row_.data(), decoder_->pixels());
    }
    band_ = sink.take();
    first_ = first;
  }

  const std::string path_;
  const OpenRows open_;
  std::unique_ptr<RowDecoder> decoder_;
  int64_t next_ = 0;  // row of the decoder
  Image band_;        // rows first_ .. next_ - 1
  int64_t first_ = 0;
  std::vector<uint8_t> row_;
};

}  // namespace

std::unique_ptr<Slide> open_row_slide(const std::string& path, OpenRows open) {
  return std::make_unique<RowSlide>(path, open);
}

}  // namespace dbps::image::internal

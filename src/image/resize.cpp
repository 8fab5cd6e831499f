#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "base/error.h"

namespace dbps::image {
namespace {

// Weights are whole numbers of 2^-22, as in Pillow: equal results on every machine, and equal to
// its.
constexpr int kPrecisionBits = 22;
constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);

// The source pixels that make one target pixel, and where their weights start.
struct Window {
  int64_t first;
  int64_t count;
  size_t weights;
};

struct Filter {
  std::vector<Window> windows;
  std::vector<int32_t> weights;
};

// A triangle of half-width max(1, source / target) source pixels around each target pixel's centre.
Filter make_filter(int64_t source, int64_t target) {
  const double scale = static_cast<double>(source) / static_cast<double>(target);
  const double support = std::max(scale, 1.0);
  Filter filter;
  std::vector<double> taps;
  for (int64_t i = 0; i < target; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t last = std::min(source, static_cast<int64_t>(centre + support + 0.5));
    taps.clear();
    double sum = 0.0;
    for (int64_t x = first; x < last; ++x) {
      const double distance = std::abs((static_cast<double>(x) - centre + 0.5) * (1.0 / support));
      taps.push_back(std::max(0.0, 1.0 - distance));
      sum += taps.back();
    }
    filter.windows.push_back({first, last - first, filter.weights.size()});
    for (const double tap : taps) {
      filter.weights.push_back(static_cast<int32_t>(0.5 + tap / sum * (1 << kPrecisionBits)));
    }
  }
  return filter;
}

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

template <int channels>
void resize_row(const uint8_t* source, const Filter& filter, uint8_t* target) {
  for (const Window& window : filter.windows) {
    const uint8_t* pixel = source + window.first * channels;
    const int32_t* weights = filter.weights.data() + window.weights;
    int32_t sums[channels];
    std::fill(sums, sums + channels, kHalf);
    for (int64_t k = 0; k < window.count; ++k, pixel += channels) {
      for (int c = 0; c < channels; ++c) sums[c] += pixel[c] * weights[k];
    }
    for (int c = 0; c < channels; ++c) *target++ = to_byte(sums[c]);
  }
}

Image resize_horizontally(const Image& source, int64_t width) {
  const Filter filter = make_filter(source.width, width);
  Image target(width, source.height, source.channels);
  const auto row = source.channels == 1 ? resize_row<1> : resize_row<3>;
  for (int64_t y = 0; y < source.height; ++y) row(source.row(y), filter, target.row(y));
  return target;
}

Image resize_vertically(const Image& source, int64_t height) {
  const Filter filter = make_filter(source.height, height);
  Image target(source.width, height, source.channels);
  const size_t size = static_cast<size_t>(source.width * source.channels);
  std::vector<int32_t> sums(size);
  for (int64_t y = 0; y < height; ++y) {
    const Window& window = filter.windows[static_cast<size_t>(y)];
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int64_t k = 0; k < window.count; ++k) {
      const int32_t weight = filter.weights[window.weights + static_cast<size_t>(k)];
      const uint8_t* row = source.row(window.first + k);
      for (size_t x = 0; x < size; ++x) sums[x] += row[x] * weight;
    }
    uint8_t* row = target.row(y);
    for (size_t x = 0; x < size; ++x) row[x] = to_byte(sums[x]);
  }
  return target;
}

}  // namespace

Image resize(const Image& source, int64_t width, int64_t height) {
  DBPS_CHECK(source.width > 0 && source.height > 0 && width > 0 && height > 0,
             "resize needs pictures with pixels");
  DBPS_CHECK(source.channels == 1 || source.channels == 3, "pictures have 1 or 3 channels");
  if (width == source.width && height == source.height) return source;
  if (height == source.height) return resize_horizontally(source, width);
  if (width == source.width) return resize_vertically(source, height);
  return resize_vertically(resize_horizontally(source, width), height);
}

void shrink_into(const Image& band, int64_t shrink, Image& smaller, int64_t first) {
  const int64_t channels = band.channels;
  std::vector<int64_t> sums(static_cast<size_t>(channels * smaller.width));
  for (int64_t top = 0; top < band.height && first < smaller.height; top += shrink, ++first) {
    const int64_t rows = std::min(shrink, band.height - top);
    std::fill(sums.begin(), sums.end(), 0);
    for (int64_t y = top; y < top + rows; ++y) {
      const uint8_t* pixel = band.row(y);
      for (int64_t column = 0; column < smaller.width; ++column) {
        int64_t* sum = sums.data() + channels * column;
        const int64_t count = std::min(shrink, band.width - column * shrink);
        for (int64_t x = 0; x < count; ++x, pixel += channels) {
          for (int64_t c = 0; c < channels; ++c) sum[c] += pixel[c];
        }
      }
    }
    uint8_t* out = smaller.row(first);
    for (int64_t column = 0; column < smaller.width; ++column) {
      const int64_t count = rows * std::min(shrink, band.width - column * shrink);
      for (int64_t i = channels * column; i < channels * (column + 1); ++i) {
        out[i] = static_cast<uint8_t>((sums[static_cast<size_t>(i)] + count / 2) / count);
      }
    }
  }
}

}  // namespace dbps::image

#include "data/jitter.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dbps::data {
namespace {

// Pixels that stay in the first-level cache while all turns pass over them.
constexpr int64_t kChunk = 1024;
constexpr int64_t kMeanPixels = 1 << 20;

template <typename T>
T clamp01(T value) {
  value = value < T(0) ? T(0) : value;
  return value > T(1) ? T(1) : value;
}

template <typename T>
void scale(T factor, T offset, T* plane, int64_t count) {
  for (int64_t i = 0; i < count; ++i) plane[i] = clamp01(factor * plane[i] + offset);
}

template <typename T>
void saturate(T factor, std::array<T*, 3> planes, int64_t count) {
  T* __restrict red = planes[0];
  T* __restrict green = planes[1];
  T* __restrict blue = planes[2];
  for (int64_t i = 0; i < count; ++i) {
    const T grey = T(kGreyRed) * red[i] + T(kGreyGreen) * green[i] + T(kGreyBlue) * blue[i];
    const T offset = (T(1) - factor) * grey;
    red[i] = clamp01(factor * red[i] + offset);
    green[i] = clamp01(factor * green[i] + offset);
    blue[i] = clamp01(factor * blue[i] + offset);
  }
}

// One channel of HSV -> RGB: value - chroma * clamp(min(k, 4 - k), 0, 1) with k = (n + hue) mod 6,
// hue in sixths of a turn, 0 <= hue < 6.
template <typename T>
T hue_channel(T n, T hue, T value, T chroma) {
  T k = n + hue;
  k = k >= T(6) ? k - T(6) : k;
  const T other = T(4) - k;
  return clamp01(value - chroma * clamp01(k < other ? k : other));
}

// Turning the hue keeps value (the largest channel) and chroma (largest less smallest), so that the
// way over saturation and back need not be gone.
template <typename T>
void turn_hue(T turns, std::array<T*, 3> planes, int64_t count) {
  const T shift = T(6) * turns;
  T* __restrict red = planes[0];
  T* __restrict green = planes[1];
  T* __restrict blue = planes[2];
  for (int64_t i = 0; i < count; ++i) {
    const T r = red[i], g = green[i], b = blue[i];
    const T larger = r > g ? r : g, smaller = r > g ? g : r;
    const T value = larger > b ? larger : b;
    const T chroma = value - (smaller < b ? smaller : b);
    const T inverse = T(1) / (chroma == T(0) ? T(1) : chroma);
    T hue = value == g ? T(2) + (b - r) * inverse : T(4) + (r - g) * inverse;
    hue = (value == r ? (g - b) * inverse : hue) + shift;
    hue = hue < T(0) ? hue + T(6) : hue;
    hue = hue >= T(6) ? hue - T(6) : hue;
    red[i] = hue_channel(T(5), hue, value, chroma);
    green[i] = hue_channel(T(3), hue, value, chroma);
    blue[i] = hue_channel(T(1), hue, value, chroma);
  }
}

template <typename T>
void apply_turn(int turn, const Jitter& jitter, std::array<T*, 3> planes, int channels,
                int64_t count) {
  switch (turn) {
    case kBrightness:
      for (int c = 0; c < channels; ++c) scale(T(jitter.brightness), T(0), planes[c], count);
      break;
    case kContrast: {
      const T offset = T((1.0 - jitter.contrast) * jitter.mean_grey);
      for (int c = 0; c < channels; ++c) scale(T(jitter.contrast), offset, planes[c], count);
      break;
    }
    case kSaturation:
      saturate(T(jitter.saturation), planes, count);
      break;
    case kHue:
      turn_hue(T(jitter.hue), planes, count);
      break;
  }
}

double sum_grey(std::array<float*, 3> planes, int channels, int64_t count) {
  std::array<double, 3> sums = {0, 0, 0};
  for (int c = 0; c < channels; ++c) {
    // Eight sums side by side: the compiler may not reorder one.
    std::array<float, 8> partial = {};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
      for (int lane = 0; lane < 8; ++lane) partial[lane] += planes[c][i + lane];
    }
    for (; i < count; ++i) partial[0] += planes[c][i];
    for (const float value : partial) sums[c] += value;
  }
  if (channels == 1) return sums[0];
  return kGreyRed * sums[0] + kGreyGreen * sums[1] + kGreyBlue * sums[2];
}

}  // namespace

bool Jitter::changes(int turn, int channels) const {
  switch (turn) {
    case kBrightness:
      return brightness != 1.0;
    case kContrast:
      return contrast != 1.0;
    case kSaturation:
      return saturation != 1.0 && channels == 3;
    default:
      return hue != 0.0 && channels == 3;
  }
}

bool Jitter::is_identity(int channels) const {
  return std::none_of(order.begin(), order.end(),
                      [&](int turn) { return changes(turn, channels); });
}

template <typename T>
void apply_jitter(const Jitter& jitter, std::array<T*, 3> planes, int channels, int64_t count) {
  for (int64_t start = 0; start < count; start += kChunk) {
    const int64_t size = std::min(kChunk, count - start);
    std::array<T*, 3> part = {};
    for (int c = 0; c < channels; ++c) part[c] = planes[c] + start;
    for (const int turn : jitter.order) {
      if (jitter.changes(turn, channels)) apply_turn(turn, jitter, part, channels, size);
    }
  }
}

template void apply_jitter(const Jitter&, std::array<float*, 3>, int, int64_t);
template void apply_jitter(const Jitter&, std::array<double*, 3>, int, int64_t);

double mean_grey(const Jitter& jitter, const image::Image& picture, const Window& window) {
  const int channels = picture.channels;
  const int64_t width = window.x1 - window.x0;
  const int64_t height = window.y1 - window.y0;
  if (width <= 0 || height <= 0) return 0.0;
  const double pixels = static_cast<double>(width) * static_cast<double>(height);
  const auto step = std::max<int64_t>(1, std::llround(std::sqrt(pixels / kMeanPixels)));

  std::vector<float> buffer(static_cast<size_t>(3 * kChunk));
  const std::array<float*, 3> planes = {buffer.data(), buffer.data() + kChunk,
                                        buffer.data() + 2 * kChunk};
  double sum = 0.0;
  int64_t total = 0;
  int64_t filled = 0;
  const auto flush = [&] {
    for (const int turn : jitter.order) {
      if (turn == kContrast) break;
      if (jitter.changes(turn, channels)) apply_turn(turn, jitter, planes, channels, filled);
    }
    sum += sum_grey(planes, channels, filled);
    total += filled;
    filled = 0;
  };
  // From the middle of the first step, so that neither edge weighs more.
  for (int64_t y = window.y0 + (step - 1) / 2; y < window.y1; y += step) {
    const uint8_t* row = picture.row(y);
    int64_t x = window.x0 + (step - 1) / 2;
    while (x < window.x1) {
      const int64_t left = (window.x1 - x + step - 1) / step;
      const int64_t count = std::min(kChunk - filled, left);
      for (int c = 0; c < channels; ++c) {
        const uint8_t* source = row + x * channels + c;
        float* target = planes[c] + filled;
        for (int64_t i = 0; i < count; ++i) {
          target[i] = static_cast<float>(source[i * step * channels]) * (1.0f / 255.0f);
        }
      }
      filled += count;
      x += count * step;
      if (filled == kChunk) flush();
    }
  }
  flush();
  return sum / static_cast<double>(std::max<int64_t>(1, total));
}

double mean_of(std::span<const double> greys) {
  double sum = 0.0;
  for (const double grey : greys) sum += grey;
  return sum / static_cast<double>(std::max<size_t>(1, greys.size()));
}

}  // namespace dbps::data

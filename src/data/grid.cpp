#include "data/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>

#include "base/error.h"

namespace dbps::data {
namespace {

// r = digits / scale, exactly.
struct Decimal {
  int64_t digits = 0;
  int64_t scale = 1;
};

constexpr int kMostDecimals = 12;  // times millions of patches still fits 64 bits

[[noreturn]] void refuse_ratio(const std::string& text) {
  throw ConfigError(
      fmt::format("drop.ratio = {}: it must be a decimal number from 0 to less than 1, with at "
                  "most {} decimals",
                  text, kMostDecimals));
}

// An exponent ("5e-1") is how some TOML writers put small numbers.
int read_exponent(std::string_view text, const std::string& whole) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.size() > 2) refuse_ratio(whole);
  int value = 0;
  for (const char c : text) {
    if (!std::isdigit(static_cast<unsigned char>(c))) refuse_ratio(whole);
    value = 10 * value + (c - '0');
  }
  return negative ? -value : value;
}

Decimal parse_ratio(const std::string& whole) {
  std::string_view text = whole;
  int exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != text.npos) {
    exponent = read_exponent(text.substr(e + 1), whole);
    text = text.substr(0, e);
  }
  std::string digits(text);
  if (const size_t point = digits.find('.'); point != digits.npos) {
    exponent -= static_cast<int>(digits.size() - point - 1);
    digits.erase(point, 1);
  }
  const auto is_digit = [](unsigned char c) { return std::isdigit(c) != 0; };
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit)) refuse_ratio(whole);
  while (digits.size() > 1 && digits.back() == '0') {
    digits.pop_back();
    ++exponent;
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  if (digits == "0") return {};
  if (exponent >= 0 || exponent < -kMostDecimals || digits.size() > kMostDecimals) {
    refuse_ratio(whole);
  }
  Decimal ratio{std::stoll(digits), 1};
  for (int i = 0; i < -exponent; ++i) ratio.scale *= 10;
  if (ratio.digits >= ratio.scale) refuse_ratio(whole);
  return ratio;
}

// ceil((1 - r) count)
int64_t keep(const std::string& drop_ratio, int64_t count) {
  const Decimal ratio = parse_ratio(drop_ratio);
  return ((ratio.scale - ratio.digits) * count + ratio.scale - 1) / ratio.scale;
}

int64_t scaled(int64_t pixels, double factor) {
  return std::max<int64_t>(1, std::llround(static_cast<double>(pixels) * factor));
}

std::vector<int64_t> edges(int64_t length, int64_t patch, int64_t stride, Edge edge) {
  const int64_t room = std::max<int64_t>(0, length - patch);
  const int64_t steps = edge == Edge::kDrop ? room / stride : (room + stride - 1) / stride;
  std::vector<int64_t> starts(static_cast<size_t>(steps + 1));
  for (int64_t i = 0; i <= steps; ++i) starts[i] = i * stride;
  if (edge == Edge::kShift) starts.back() = room;
  return starts;
}

}  // namespace

Size resized(const DataOptions& options, Size source) {
  const int64_t longest = std::max(options.width, options.height);
  switch (options.resize) {
    case Resize::kExact:
      if (options.width <= 0 || options.height <= 0) {
        throw ConfigError(
            "data.height and data.width must be set when data.resize = \"exact\"; for pictures of "
            "their own size, data.resize = \"none\"");
      }
      return {options.width, options.height};
    case Resize::kLongest: {
      if (longest <= 0) {
        throw ConfigError(
            "data.height or data.width must say how long the longest side is when data.resize = "
            "\"longest\"");
      }
      const double factor =
          static_cast<double>(longest) / static_cast<double>(std::max(source.width, source.height));
      return {scaled(source.width, factor), scaled(source.height, factor)};
    }
    case Resize::kScale:
      return {scaled(source.width, options.scale), scaled(source.height, options.scale)};
    case Resize::kNone:
      break;
  }
  return source;
}

Grid make_grid(const DataOptions& options, Size picture) {
  Grid grid;
  if (options.patch_size == 0) {
    grid.patch_width = picture.width;
    grid.patch_height = picture.height;
    grid.x = {0};
    grid.y = {0};
  } else {
    const int64_t stride = options.patch_stride > 0 ? options.patch_stride : options.patch_size;
    grid.patch_width = options.patch_size;
    grid.patch_height = options.patch_size;
    grid.x = edges(picture.width, options.patch_size, stride, options.edge);
    grid.y = edges(picture.height, options.patch_size, stride, options.edge);
  }
  grid.columns = static_cast<int64_t>(grid.x.size());
  grid.rows = static_cast<int64_t>(grid.y.size());
  return grid;
}

int64_t kept_patches(const std::string& drop_ratio, int64_t n, int64_t m) {
  if (n <= m) return n;
  return keep(drop_ratio, n - m) + m;
}

int64_t scan_step(const std::string& drop_ratio, int64_t scan_patches) {
  return std::max<int64_t>(1, keep(drop_ratio, scan_patches));
}

}  // namespace dbps::data

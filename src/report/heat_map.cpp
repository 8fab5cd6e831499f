#include "report/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace dbps::report {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kShades = 256;

using Triple = std::array<double, 3>;

// Of Oklab (Ottosson, 2020), as linear light of sRGB's primaries.
Triple linear_of(double lightness, double a, double b) {
  const auto cube = [](double x) { return x * x * x; };
  const double l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
  const double m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
  const double s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
  return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
          -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
          -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

uint8_t to_byte(double linear) {
  const double light = std::clamp(linear, 0.0, 1.0);
  const double value =
      light <= 0.0031308 ? 12.92 * light : 1.055 * std::pow(light, 1 / 2.4) - 0.055;
  return static_cast<uint8_t>(std::lround(255 * value));
}

bool is_shown(const Triple& linear) {
  return std::ranges::all_of(linear, [](double light) { return light >= 0 && light <= 1; });
}

// Hue turns from blue through red to yellow while lightness rises evenly; as colourful as a screen
// shows at that place, up to a bound that keeps steps even.
image::Colour shade(double share) {
  constexpr double kDarkest = 0.28, kLightest = 0.95, kMostColour = 0.19;
  const double lightness = kDarkest + (kLightest - kDarkest) * share;
  const double hue = (285 + 180 * share) * kPi / 180;
  double colourful = kMostColour;
  Triple linear;
  do {
    linear = linear_of(lightness, colourful * std::cos(hue), colourful * std::sin(hue));
    colourful -= 0.001;
  } while (!is_shown(linear) && colourful > 0);
  return {to_byte(linear[0]), to_byte(linear[1]), to_byte(linear[2])};
}

std::array<image::Colour, kShades> make_shades() {
  std::array<image::Colour, kShades> shades;
  for (int i = 0; i < kShades; ++i) shades[i] = shade(static_cast<double>(i) / (kShades - 1));
  return shades;
}

}  // namespace

const char* chosen_name(Chosen chosen) {
  switch (chosen) {
    case Chosen::kNo:
      return "";
    case Chosen::kSalient:
      return "salient";
    case Chosen::kSubSalient:
      return "sub-salient";
  }
  return "";
}

void rank_tiles(HeatMap& map) {
  map.order.resize(map.tiles.size());
  std::iota(map.order.begin(), map.order.end(), 0);
  // A model that has diverged has scores that are no numbers: last.
  const auto score = [&](int32_t number) {
    const float score = map.tiles[number].score;
    return std::isnan(score) ? -1.0f : score;
  };
  std::stable_sort(map.order.begin(), map.order.end(),
                   [&](int32_t a, int32_t b) { return score(a) > score(b); });
  for (size_t i = 0; i < map.order.size(); ++i) {
    map.tiles[map.order[i]].rank = static_cast<int32_t>(i) + 1;
  }
}

image::Colour heat_colour(double share) {
  static const std::array<image::Colour, kShades> shades = make_shades();
  return shades[static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * (kShades - 1)))];
}

image::Colour HeatScale::colour(double times_mean) const {
  if (!(times_mean > low)) return heat_colour(0);
  return heat_colour(std::log(times_mean / low) / std::log(high / low));
}

HeatScale scale_of(const HeatMap& map) {
  HeatScale scale;
  if (map.order.empty()) return scale;
  const auto at = [&](size_t place) { return map.times_mean(map.tiles[map.order[place]]); };
  const double least = at((map.order.size() - 1) * 19 / 20);
  if (least > 0) scale.low = std::min(scale.low, least);
  const double most = at(0);
  if (most > scale.high) scale.high = most;
  return scale;
}

}  // namespace dbps::report

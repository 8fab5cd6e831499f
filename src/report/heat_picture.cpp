#include "report/heat_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "image/draw.h"
#include "image/lettering.h"
#include "report/box.h"
#include "report/fit_picture.h"
#include "report/palette.h"

namespace dbps::report {
namespace {

using image::Colour;

constexpr double kTissue = 190;  // grey of tissue under the colours of the scale

// The strip below an overlay, in dots of its letters.
constexpr int64_t kMargin = 8;
constexpr int64_t kBar = 200;
constexpr int64_t kBarHeight = 8;
constexpr int64_t kStripHeight = 2 * kMargin + 2 * image::kLineDots + kBarHeight;
constexpr int64_t kLeastWidth = 3 * kMargin + kBar + 100;

// Colour over tissue of a grey, which stays visible but hardly changes how light the colour is.
Colour over_tissue(const Colour& colour, double grey) {
  constexpr double kShare = 0.7, kDarkest = 120;
  const double pale = kDarkest + (255 - kDarkest) * grey / 255;
  Colour mixed;
  for (int c = 0; c < 3; ++c) {
    mixed[c] = static_cast<uint8_t>(std::lround(kShare * colour[c] + (1 - kShare) * pale));
  }
  return mixed;
}

struct Mark {
  int64_t at;    // pixels from the bar's left
  int64_t left;  // of its words
  int64_t right;
  std::string text;
};

// The ends, the mean, and powers of ten, where there is room.
std::vector<Mark> marks_of(const HeatScale& scale, int64_t bar, int64_t dot) {
  std::vector<double> wanted = {scale.low, scale.high, 1};
  for (double decade = 1e-6; decade < 1e7; decade *= 10) wanted.push_back(decade);
  std::vector<Mark> marks;
  for (const double times : wanted) {
    if (times < scale.low || times > scale.high) continue;
    const double share = std::log(times / scale.low) / std::log(scale.high / scale.low);
    Mark mark{std::llround(share * static_cast<double>(bar - dot)), 0, 0, times_text(times)};
    const int64_t width = image::text_width(mark.text, dot) - dot;
    mark.left = std::clamp<int64_t>(mark.at - width / 2, 0, std::max<int64_t>(0, bar - width));
    mark.right = mark.left + width;
    const bool is_free = std::ranges::none_of(marks, [&](const Mark& other) {
      return mark.left < other.right + 6 * dot && other.left < mark.right + 6 * dot;
    });
    if (is_free) marks.push_back(std::move(mark));
  }
  return marks;
}

void draw_scale(image::Image& out, int64_t x, int64_t y, int64_t dot, const HeatScale& scale) {
  image::write_text(out, x, y, dot, kInk, "attention, times the mean");
  const int64_t top = y + image::kLineDots * dot;
  const int64_t bar = kBar * dot;
  for (int64_t i = 0; i < bar; ++i) {
    const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(bar);
    image::tint(out, x + i, top, 1, kBarHeight * dot, over_tissue(heat_colour(share), kTissue), 1);
  }
  for (const Mark& mark : marks_of(scale, bar, dot)) {
    image::tint(out, x + mark.at, top + kBarHeight * dot, dot, 2 * dot, kInk, 1);
    image::write_text(out, x + mark.left, top + (kBarHeight + 4) * dot, dot, kInk, mark.text);
  }
}

// A round length of about a sixth of the picture, at its right.
void draw_length(image::Image& out, int64_t right, int64_t y, int64_t dot, double microns_a_pixel,
                 int64_t picture_width) {
  const double most = microns_a_pixel * static_cast<double>(picture_width) / 4;
  double length = std::pow(10, std::floor(std::log10(most)));
  for (const double factor : {5.0, 2.0}) {
    if (factor * length <= most) {
      length *= factor;
      break;
    }
  }
  const int64_t pixels = std::max<int64_t>(1, std::llround(length / microns_a_pixel));
  const std::string text = fmt::format("{:g} mm", length / 1000);
  image::write_text(out, right - image::text_width(text, dot) + dot, y, dot, kInk, text);
  const int64_t top = y + (image::kLineDots + kBarHeight / 2) * dot;
  image::tint(out, right - pixels, top, pixels, 2 * dot, kInk, 1);
  for (const int64_t end : {right - pixels, right - dot}) {
    image::tint(out, end, top - 3 * dot, dot, 8 * dot, kInk, 1);
  }
}

image::Image with_strip(const image::Image& picture, const HeatMap& map, const HeatScale& scale) {
  const int64_t dot = std::clamp<int64_t>(picture.width / 500, 1, 4);
  image::Image out(std::max(picture.width, kLeastWidth * dot), picture.height + kStripHeight * dot,
                   3);
  std::fill(out.pixels.begin(), out.pixels.end(), uint8_t{255});
  paste(picture, 0, 0, out);
  image::tint(out, 0, picture.height, out.width, 1, kFaintInk, 1);
  const int64_t top = picture.height + kMargin * dot;
  draw_scale(out, kMargin * dot, top, dot, scale);
  if (map.mpp > 0) {
    draw_length(out, out.width - kMargin * dot, top, dot,
                map.mpp * map.width / static_cast<double>(picture.width), picture.width);
  }
  return out;
}

void blend_heat(const image::Image& heat, const image::Image& covered, image::Image& picture) {
  for (size_t i = 0; i < covered.pixels.size(); ++i) {
    if (covered.pixels[i] == 0) continue;
    uint8_t* pixel = picture.pixels.data() + 3 * i;
    const double grey = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
    const uint8_t* colour = heat.pixels.data() + 3 * i;
    const Colour mixed = over_tissue({colour[0], colour[1], colour[2]}, grey);
    std::copy(mixed.begin(), mixed.end(), pixel);
  }
}

}  // namespace

void paint_heat(const HeatMap& map, const HeatScale& scale, double zoom_x, double zoom_y,
                int64_t top, image::Image& band, image::Image* covered) {
  const int64_t bottom = top + band.height;
  for (auto number = map.order.rbegin(); number != map.order.rend(); ++number) {
    const HeatTile& tile = map.tiles[*number];
    const Box box = scaled_box(tile.x, tile.y, map.tile_width, map.tile_height, zoom_x, zoom_y,
                               band.width, bottom);
    if (box.y + box.height <= top) continue;
    image::tint(band, box.x, box.y - top, box.width, box.height, scale.colour(map.times_mean(tile)),
                1);
    if (covered != nullptr) {
      image::tint(*covered, box.x, box.y - top, box.width, box.height, {255, 255, 255}, 1);
    }
  }
}

image::Image draw_overlay(const image::Image& thumbnail, const HeatMap& map, const HeatScale& scale,
                          int64_t max_side) {
  DBPS_CHECK(map.width > 0 && map.height > 0, "a heat map needs a size");
  image::Image picture = fit_picture(thumbnail, max_side);
  image::Image heat(picture.width, picture.height, 3);
  image::Image covered(picture.width, picture.height, 1);
  paint_heat(map, scale, static_cast<double>(picture.width) / map.width,
             static_cast<double>(picture.height) / map.height, 0, heat, &covered);
  blend_heat(heat, covered, picture);
  return with_strip(picture, map, scale);
}

}  // namespace dbps::report

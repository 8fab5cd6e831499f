#include "report/maps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "image/draw.h"
#include "image/resize.h"

namespace dbps::report {
namespace {

// Okabe and Ito's orange and sky blue: told apart by colour-blind readers, in grey too.
constexpr image::Colour kSalient{230, 159, 0};
constexpr image::Colour kSubSalient{86, 180, 233};
constexpr image::Colour kBlack{0, 0, 0};
constexpr image::Colour kStrip{24, 27, 30};
constexpr image::Colour kText{222, 226, 228};
constexpr double kDimmed = 0.62;
constexpr double kPalest = 0.55;        // the frame of the lowest score
constexpr int64_t kSmallestSide = 512;  // a smaller picture is enlarged: frames stay thin

// What the legend's words need, 5 x 7, a row a number, its highest bit on the left.
struct Glyph {
  char letter;
  std::array<uint8_t, 7> rows;
};
constexpr Glyph kGlyphs[] = {
    {'A', {14, 17, 17, 31, 17, 17, 17}}, {'B', {30, 17, 17, 30, 17, 17, 30}},
    {'E', {31, 16, 16, 30, 16, 16, 31}}, {'I', {14, 4, 4, 4, 4, 4, 14}},
    {'L', {16, 16, 16, 16, 16, 16, 31}}, {'N', {17, 25, 21, 19, 17, 17, 17}},
    {'S', {15, 16, 16, 14, 1, 1, 30}},   {'T', {31, 4, 4, 4, 4, 4, 4}},
    {'U', {17, 17, 17, 17, 17, 17, 14}}, {'-', {0, 0, 0, 14, 0, 0, 0}},
};

struct Rectangle {
  int64_t x = 0, y = 0, width = 0, height = 0;
};

image::Image as_rgb(const image::Image& picture) {
  if (picture.channels == 3) return picture;
  image::Image rgb(picture.width, picture.height, 3);
  for (size_t i = 0; i < picture.pixels.size(); ++i) {
    std::fill_n(rgb.pixels.begin() + static_cast<int64_t>(3 * i), 3, picture.pixels[i]);
  }
  return rgb;
}

image::Image fit(const image::Image& picture, int64_t max_side) {
  const int64_t side = std::max(picture.width, picture.height);
  const int64_t wanted = std::clamp(side, std::min(kSmallestSide, max_side), max_side);
  const double factor = static_cast<double>(wanted) / static_cast<double>(side);
  const auto scaled = [&](int64_t pixels) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(pixels) * factor));
  };
  const image::Image rgb = as_rgb(picture);
  return wanted == side ? rgb : image::resize(rgb, scaled(picture.width), scaled(picture.height));
}

// Edges are rounded, not sizes: neighbouring patches meet without gap or overlap.
Rectangle place(const MapPatch& patch, double scale_x, double scale_y, const image::Image& map) {
  const auto edge = [](double at, double scale, int64_t limit) {
    return std::clamp<int64_t>(std::llround(at * scale), 0, limit);
  };
  const int64_t left = edge(patch.x, scale_x, map.width);
  const int64_t top = edge(patch.y, scale_y, map.height);
  return {left, top, edge(patch.x + patch.width, scale_x, map.width) - left,
          edge(patch.y + patch.height, scale_y, map.height) - top};
}

std::vector<Rectangle> place_all(const std::vector<MapPatch>& patches, double scale_x,
                                 double scale_y, const image::Image& map) {
  std::vector<Rectangle> placed;
  for (const MapPatch& patch : patches) placed.push_back(place(patch, scale_x, scale_y, map));
  return placed;
}

void copy(const image::Image& from, const Rectangle& part, image::Image& to) {
  for (int64_t y = part.y; y < part.y + part.height; ++y) {
    std::copy_n(from.row(y) + part.x * 3, part.width * 3, to.row(y) + part.x * 3);
  }
}

void blend_frame(image::Image& map, const Rectangle& at, int64_t thickness, image::Colour colour,
                 double alpha) {
  const int64_t t = std::min({thickness, at.width / 2, at.height / 2});
  image::tint(map, at.x, at.y, at.width, t, colour, alpha);
  image::tint(map, at.x, at.y + at.height - t, at.width, t, colour, alpha);
  image::tint(map, at.x, at.y + t, t, at.height - 2 * t, colour, alpha);
  image::tint(map, at.x + at.width - t, at.y + t, t, at.height - 2 * t, colour, alpha);
}

// A black hairline inside the frame keeps it visible on any picture.
void draw_frames(image::Image& map, const std::vector<MapPatch>& patches,
                 const std::vector<Rectangle>& placed, image::Colour colour) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const MapPatch& patch : patches) {
    low = std::min(low, patch.score);
    high = std::max(high, patch.score);
  }
  const int64_t thickness = std::max<int64_t>(2, std::max(map.width, map.height) / 256);
  for (size_t i = 0; i < placed.size(); ++i) {
    const double share = high > low ? (patches[i].score - low) / (high - low) : 1;
    const Rectangle& at = placed[i];
    const Rectangle inner{at.x + thickness, at.y + thickness, at.width - 2 * thickness,
                          at.height - 2 * thickness};
    blend_frame(map, at, thickness, colour, kPalest + (1 - kPalest) * share);
    if (std::min(inner.width, inner.height) > 4) blend_frame(map, inner, 1, kBlack, 0.6);
  }
}

// Returns where the word ends.
int64_t write_word(image::Image& map, int64_t x, int64_t y, int64_t dot, std::string_view word) {
  for (const char letter : word) {
    const auto* glyph = std::find_if(std::begin(kGlyphs), std::end(kGlyphs),
                                     [&](const Glyph& g) { return g.letter == letter; });
    DBPS_CHECK(glyph != std::end(kGlyphs), "the legend has a letter without a glyph");
    for (int64_t row = 0; row < 7; ++row) {
      for (int64_t column = 0; column < 5; ++column) {
        if ((glyph->rows[static_cast<size_t>(row)] >> (4 - column) & 1) == 0) continue;
        image::tint(map, x + column * dot, y + row * dot, dot, dot, kText, 1);
      }
    }
    x += 6 * dot;
  }
  return x;
}

// The map with a strip below it that says which colour is which.
image::Image with_legend(const image::Image& map) {
  const int64_t dot = std::clamp<int64_t>(map.width / 240, 1, 4);  // the words take 140 dots
  const int64_t strip = 15 * dot;
  image::Image out(map.width, map.height + strip, 3);
  std::copy(map.pixels.begin(), map.pixels.end(), out.pixels.begin());
  image::tint(out, 0, map.height, map.width, strip, kStrip, 1);
  int64_t x = 4 * dot;
  const int64_t y = map.height + 4 * dot;
  for (const auto& [colour, word] :
       {std::pair{kSalient, "SALIENT"}, std::pair{kSubSalient, "SUB-SALIENT"}}) {
    blend_frame(out, {x, y, 7 * dot, 7 * dot}, 2 * dot, colour, 1);
    x = write_word(out, x + 10 * dot, y, dot, word) + 8 * dot;
  }
  return out;
}

}  // namespace

image::Image draw_map(const image::Image& picture, int64_t source_width, int64_t source_height,
                      const std::vector<MapPatch>& salient,
                      const std::vector<MapPatch>& sub_salient, int64_t max_side) {
  DBPS_CHECK(source_width > 0 && source_height > 0 && max_side > 0, "a map needs a size");
  const image::Image bright = fit(picture, max_side);
  const double scale_x = static_cast<double>(bright.width) / static_cast<double>(source_width);
  const double scale_y = static_cast<double>(bright.height) / static_cast<double>(source_height);
  const std::vector<Rectangle> kept = place_all(salient, scale_x, scale_y, bright);
  const std::vector<Rectangle> spare = place_all(sub_salient, scale_x, scale_y, bright);
  image::Image map = bright;
  image::tint(map, 0, 0, map.width, map.height, kBlack, kDimmed);
  for (const std::vector<Rectangle>* placed : {&spare, &kept}) {
    for (const Rectangle& part : *placed) copy(bright, part, map);
  }
  draw_frames(map, sub_salient, spare, kSubSalient);
  draw_frames(map, salient, kept, kSalient);
  return with_legend(map);
}

}  // namespace dbps::report

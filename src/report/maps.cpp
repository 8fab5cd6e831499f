#include "report/maps.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "image/draw.h"
#include "image/lettering.h"
#include "report/box.h"
#include "report/fit_picture.h"
#include "report/palette.h"

namespace dbps::report {
namespace {

constexpr image::Colour kBlack{0, 0, 0};
constexpr image::Colour kStrip{24, 27, 30};
constexpr image::Colour kText{222, 226, 228};
constexpr double kDimmed = 0.62;
constexpr double kPalest = 0.55;  // the frame of the lowest score

std::vector<Box> place_all(const std::vector<MapPatch>& patches, double scale_x, double scale_y,
                           const image::Image& map) {
  std::vector<Box> placed;
  for (const MapPatch& patch : patches)
    placed.push_back(scaled_box(patch.x, patch.y, patch.width, patch.height, scale_x, scale_y,
                                map.width, map.height));
  return placed;
}

void copy(const image::Image& from, const Box& part, image::Image& to) {
  for (int64_t y = part.y; y < part.y + part.height; ++y) {
    std::copy_n(from.row(y) + part.x * 3, part.width * 3, to.row(y) + part.x * 3);
  }
}

void blend_frame(image::Image& map, const Box& at, int64_t thickness, image::Colour colour,
                 double alpha) {
  const int64_t t = std::min({thickness, at.width / 2, at.height / 2});
  image::tint(map, at.x, at.y, at.width, t, colour, alpha);
  image::tint(map, at.x, at.y + at.height - t, at.width, t, colour, alpha);
  image::tint(map, at.x, at.y + t, t, at.height - 2 * t, colour, alpha);
  image::tint(map, at.x + at.width - t, at.y + t, t, at.height - 2 * t, colour, alpha);
}

// A black hairline inside the frame keeps it visible on any picture.
void draw_frames(image::Image& map, const std::vector<MapPatch>& patches,
                 const std::vector<Box>& placed, image::Colour colour) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const MapPatch& patch : patches) {
    low = std::min(low, patch.score);
    high = std::max(high, patch.score);
  }
  const int64_t thickness = std::max<int64_t>(2, std::max(map.width, map.height) / 256);
  for (size_t i = 0; i < placed.size(); ++i) {
    const double share = high > low ? (patches[i].score - low) / (high - low) : 1;
    const Box& at = placed[i];
    const Box inner{at.x + thickness, at.y + thickness, at.width - 2 * thickness,
                    at.height - 2 * thickness};
    blend_frame(map, at, thickness, colour, kPalest + (1 - kPalest) * share);
    if (std::min(inner.width, inner.height) > 4) blend_frame(map, inner, 1, kBlack, 0.6);
  }
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
       {std::pair{kSalient, "salient"}, std::pair{kSubSalient, "sub-salient"}}) {
    blend_frame(out, {x, y, 7 * dot, 7 * dot}, 2 * dot, colour, 1);
    x = image::write_text(out, x + 10 * dot, y, dot, kText, word) + 8 * dot;
  }
  return out;
}

}  // namespace

image::Image draw_map(const image::Image& picture, int64_t source_width, int64_t source_height,
                      const std::vector<MapPatch>& salient,
                      const std::vector<MapPatch>& sub_salient, int64_t max_side) {
  DBPS_CHECK(source_width > 0 && source_height > 0 && max_side > 0, "a map needs a size");
  const image::Image bright = fit_picture(picture, max_side);
  const double scale_x = static_cast<double>(bright.width) / static_cast<double>(source_width);
  const double scale_y = static_cast<double>(bright.height) / static_cast<double>(source_height);
  const std::vector<Box> kept = place_all(salient, scale_x, scale_y, bright);
  const std::vector<Box> spare = place_all(sub_salient, scale_x, scale_y, bright);
  image::Image map = bright;
  image::tint(map, 0, 0, map.width, map.height, kBlack, kDimmed);
  for (const std::vector<Box>* placed : {&spare, &kept}) {
    for (const Box& part : *placed) copy(bright, part, map);
  }
  draw_frames(map, sub_salient, spare, kSubSalient);
  draw_frames(map, salient, kept, kSalient);
  return with_legend(map);
}

}  // namespace dbps::report

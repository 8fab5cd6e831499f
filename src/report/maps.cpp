#include "report/maps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
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

// What a map shows, the lowest layer first.
struct Layer {
  const std::vector<MapPatch>* patches;
  image::Colour colour;
  std::string_view name;
};

// The map with a strip below it that says which colour is which; of no layer, that it is the
// picture.
image::Image with_legend(const image::Image& map, const std::vector<Layer>& layers) {
  const int64_t dot = std::clamp<int64_t>(map.width / 240, 1, 4);  // the words take 140 dots
  const int64_t strip = 15 * dot;
  image::Image out(map.width, map.height + strip, 3);
  std::copy(map.pixels.begin(), map.pixels.end(), out.pixels.begin());
  image::tint(out, 0, map.height, map.width, strip, kStrip, 1);
  int64_t x = 4 * dot;
  const int64_t y = map.height + 4 * dot;
  if (layers.empty()) image::write_text(out, x, y, dot, kText, "picture");
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    blend_frame(out, {x, y, 7 * dot, 7 * dot}, 2 * dot, layer->colour, 1);
    x = image::write_text(out, x + 10 * dot, y, dot, kText, layer->name) + 8 * dot;
  }
  return out;
}

image::Image draw_layers(const image::Image& bright, int64_t source_width, int64_t source_height,
                         const std::vector<Layer>& layers) {
  const double scale_x = static_cast<double>(bright.width) / static_cast<double>(source_width);
  const double scale_y = static_cast<double>(bright.height) / static_cast<double>(source_height);
  image::Image map = bright;
  image::tint(map, 0, 0, map.width, map.height, kBlack, kDimmed);
  std::vector<std::vector<Box>> placed;
  for (const Layer& layer : layers) {
    placed.push_back(place_all(*layer.patches, scale_x, scale_y, bright));
    for (const Box& part : placed.back()) copy(bright, part, map);
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    draw_frames(map, *layers[i].patches, placed[i], layers[i].colour);
  }
  return with_legend(map, layers);
}

}  // namespace

image::Image draw_map(const image::Image& picture, int64_t source_width, int64_t source_height,
                      const std::vector<MapPatch>& salient,
                      const std::vector<MapPatch>& sub_salient, int64_t max_side) {
  DBPS_CHECK(source_width > 0 && source_height > 0 && max_side > 0, "a map needs a size");
  return draw_layers(fit_picture(picture, max_side), source_width, source_height,
                     {{&sub_salient, kSubSalient, "sub-salient"}, {&salient, kSalient, "salient"}});
}

image::Image draw_panels(const image::Image& picture, const std::vector<MapPatch>& salient,
                         const std::vector<MapPatch>& sub_salient, int64_t max_side) {
  const image::Image bright = fit_picture(picture, max_side);
  const Layer upper{&salient, kSalient, "salient"};
  const Layer lower{&sub_salient, kSubSalient, "sub-salient"};
  const auto draw = [&](const std::vector<Layer>& layers) {
    return draw_layers(bright, picture.width, picture.height, layers);
  };
  const std::array<image::Image, 4> panels = {
      with_legend(bright, {}), draw({upper}), draw({lower}),
      draw_map(bright, picture.width, picture.height, salient, sub_salient, max_side)};
  const int64_t gap = std::max<int64_t>(2, max_side / 90);
  const int64_t width = panels[0].width;
  const int64_t height = panels[0].height;
  image::Image out(2 * width + gap, 2 * height + gap, 3);
  image::tint(out, 0, 0, out.width, out.height, kStrip, 1);
  for (int64_t i = 0; i < 4; ++i) {
    image::paste(panels[i], i % 2 * (width + gap), i / 2 * (height + gap), out);
  }
  return out;
}

}  // namespace dbps::report

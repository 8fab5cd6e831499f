#include "report/heat_map.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "base/files.h"
#include "image/slide.h"
#include "report/contact_sheet.h"
#include "report/heat_files.h"
#include "report/heat_picture.h"
#include "support/temp_folder.h"

namespace dbps::report {
namespace {

using image::Colour;

// Tiles of 100 in a row of 1000 x 300, from (0, 100) on.
HeatMap row_of(const std::vector<float>& scores) {
  HeatMap map;
  map.id = "a \"slide\"";
  map.width = 1000;
  map.height = 300;
  map.tile_width = map.tile_height = 100;
  for (size_t i = 0; i < scores.size(); ++i) {
    map.tiles.push_back({static_cast<float>(100 * i), 100, scores[i]});
  }
  rank_tiles(map);
  return map;
}

image::Image grey_picture(int64_t width, int64_t height, uint8_t grey) {
  image::Image picture(width, height, 3);
  std::fill(picture.pixels.begin(), picture.pixels.end(), grey);
  return picture;
}

Colour at(const image::Image& picture, int64_t x, int64_t y) {
  const uint8_t* pixel = picture.row(y) + 3 * x;
  return {pixel[0], pixel[1], pixel[2]};
}

// CIE lightness of sRGB.
double lightness(const Colour& colour) {
  double y = 0;
  const double share[] = {0.2126, 0.7152, 0.0722};
  for (int c = 0; c < 3; ++c) {
    const double v = colour[c] / 255.0;
    y += share[c] * (v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4));
  }
  return y > 0.008856 ? 116 * std::cbrt(y) - 16 : 903.3 * y;
}

TEST(HeatMap, RanksByScoreThenNumberAndNoNumbersLast) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const HeatMap map = row_of({0.2f, nan, 0.5f, 0.2f, 0});
  EXPECT_EQ(map.order, (std::vector<int32_t>{2, 0, 3, 4, 1}));
  EXPECT_EQ(map.tiles[3].rank, 3);
  EXPECT_EQ(map.tiles[1].rank, 5);
}

TEST(HeatMap, ColoursGrowLighterEvenly) {
  double before = lightness(heat_colour(0));
  const double whole = lightness(heat_colour(1)) - before;
  EXPECT_GT(whole, 70);
  for (int i = 1; i <= 16; ++i) {
    const double now = lightness(heat_colour(i / 16.0));
    EXPECT_NEAR(now - before, whole / 16, 0.3 * whole / 16) << i;
    before = now;
  }
  EXPECT_EQ(heat_colour(-3), heat_colour(0));
  EXPECT_EQ(heat_colour(9), heat_colour(1));
}

TEST(HeatMap, TheScaleIsLogarithmicAboutTheMean) {
  HeatScale scale = scale_of(row_of({0.24f, 0.25f, 0.26f, 0.25f}));
  EXPECT_EQ(scale.low, 0.5);
  EXPECT_EQ(scale.high, 2);
  EXPECT_EQ(scale.colour(1), heat_colour(0.5));
  EXPECT_EQ(scale.colour(0), heat_colour(0));
  EXPECT_EQ(scale.colour(std::nan("")), heat_colour(0));
  std::vector<float> scores(100, 0.001f);
  scores[7] = 0.901f;
  scale = scale_of(row_of(scores));
  EXPECT_NEAR(scale.low, 0.1, 1e-6);
  EXPECT_NEAR(scale.high, 90.1, 1e-4);
}

TEST(HeatMap, AnOverlayColoursTilesAlone) {
  HeatMap map = row_of({0.7f, 0.1f, 0.2f});
  const HeatScale scale{0.5, 2};
  const image::Image overlay = draw_overlay(grey_picture(500, 150, 200), map, scale, 1000);
  ASSERT_EQ(overlay.width, 512);
  ASSERT_GT(overlay.height, 154);
  const auto pixel = [&](double x, double y) {
    return at(overlay, std::lround(x * 0.512), std::lround(y * 0.512));
  };
  EXPECT_EQ(pixel(50, 50), (Colour{200, 200, 200}));
  EXPECT_EQ(pixel(350, 150), (Colour{200, 200, 200}));
  EXPECT_GT(lightness(pixel(50, 150)), lightness(pixel(250, 150)));
  EXPECT_GT(lightness(pixel(250, 150)), lightness(pixel(150, 150)));
  map.mpp = 0.5;
  EXPECT_NE(draw_overlay(grey_picture(500, 150, 200), map, scale, 1000).pixels, overlay.pixels)
      << "a length stands where microns are known";
}

TEST(HeatMap, OfTilesThatOverlapTheHigherShows) {
  HeatMap map = row_of({0.1f, 0.9f});
  map.tiles[1].x = 50;
  image::Image band(100, 30, 3);
  paint_heat(map, {0.1, 2}, 0.1, 0.1, 0, band);
  EXPECT_EQ(at(band, 2, 15), HeatScale({0.1, 2}).colour(0.2));
  EXPECT_EQ(at(band, 7, 15), HeatScale({0.1, 2}).colour(1.8));
  image::Image lower(100, 10, 3);
  paint_heat(map, {0.1, 2}, 0.1, 0.1, 15, lower);
  EXPECT_EQ(at(lower, 7, 4), at(band, 7, 19));
  EXPECT_EQ(at(lower, 7, 5), (Colour{0, 0, 0}));
}

TEST(HeatMap, AContactSheetShowsTheBestFirst) {
  HeatMap map = row_of({0.1f, 0.6f, 0.3f});
  map.tiles[1].chosen = Chosen::kSalient;
  const image::Image sheet =
      draw_contact_sheet({grey_picture(64, 64, 10), grey_picture(32, 64, 20)}, map);
  int64_t first = -1, second = -1, orange = 0;
  for (int64_t y = 0; y < sheet.height; ++y) {
    for (int64_t x = 0; x < sheet.width; ++x) {
      const Colour colour = at(sheet, x, y);
      if (first < 0 && colour == Colour{10, 10, 10}) first = x;
      if (second < 0 && colour == Colour{20, 20, 20}) second = x;
      orange += colour == Colour{230, 159, 0};
    }
  }
  EXPECT_GE(first, 0);
  EXPECT_GT(second, first + 200);
  EXPECT_GT(orange, 4 * 4 * 200);
}

TEST(HeatMap, ATiffHasTheColoursItsLevelsAndItsScale) {
  const TempFolder folder;
  std::vector<float> scores(40, 0.01f);
  scores[3] = 0.61f;
  HeatMap map = row_of(scores);
  map.width = 10000;
  map.height = 4001;
  map.mpp = 0.25;
  const HeatScale scale = scale_of(map);
  const auto path = folder.path() / "heat.tif";
  write_heat_tiff(path, map, scale);
  const auto slide = image::open_slide(path);
  const image::SlideInfo& info = slide->info();
  ASSERT_EQ(info.levels.size(), 3u);  // of 834, 417 and 209 pixels
  EXPECT_EQ(info.levels[0].width, 834);
  EXPECT_EQ(info.levels[0].height, 334);
  EXPECT_NEAR(info.mpp, 3, 1e-5);
  image::Image region(834, 334, 3);
  slide->read(0, 0, 0, region);
  EXPECT_EQ(at(region, 29, 12), scale.colour(40 * 0.61));
  EXPECT_EQ(at(region, 20, 12), scale.colour(0.4));
  EXPECT_EQ(at(region, 20, 4), (Colour{255, 255, 255}));
  EXPECT_EQ(at(region, 20, 300), (Colour{255, 255, 255}));
}

TEST(HeatMap, ScoresThatAreNoNumbersStayValidJson) {
  const TempFolder folder;
  const HeatMap map = row_of({std::numeric_limits<float>::quiet_NaN(), 1});
  write_geojson(folder.path() / "a.geojson", map);
  const std::string text = read_text_file(folder.path() / "a.geojson");
  EXPECT_NE(text.find("\"name\":\"a \\\"slide\\\"\""), std::string::npos);
  EXPECT_NE(text.find("\"attention\":null"), std::string::npos);
  EXPECT_EQ(text.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace dbps::report

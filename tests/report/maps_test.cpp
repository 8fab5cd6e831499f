#include "report/maps.h"

#include <gtest/gtest.h>

#include "image/draw.h"

namespace dbps::report {
namespace {

using image::Colour;

constexpr Colour kOrange{230, 159, 0}, kSkyBlue{86, 180, 233}, kWhite{250, 250, 250};

image::Image white(int64_t width, int64_t height, int channels = 3) {
  image::Image picture(width, height, channels);
  std::fill(picture.pixels.begin(), picture.pixels.end(), uint8_t{250});
  return picture;
}

Colour at(const image::Image& map, int64_t x, int64_t y) {
  const uint8_t* pixel = map.row(y) + 3 * x;
  return {pixel[0], pixel[1], pixel[2]};
}

bool is_dimmed(Colour colour) { return colour[0] == colour[2] && colour[0] < 125; }

TEST(Maps, FramesWhatWasSelected) {
  // Half a source of 1200 x 800: a patch of 100 lies on 50 pixels.
  const image::Image map =
      draw_map(white(600, 400), 1200, 800, {{100, 200, 100, 100, 1}}, {{600, 200, 100, 100, 1}});
  ASSERT_EQ(map.width, 600);
  EXPECT_EQ(at(map, 50, 100), kOrange);
  EXPECT_EQ(at(map, 99, 149), kOrange);
  EXPECT_EQ(at(map, 300, 100), kSkyBlue);
  EXPECT_EQ(at(map, 349, 149), kSkyBlue);
  EXPECT_EQ(at(map, 75, 125), kWhite);
  EXPECT_EQ(at(map, 325, 125), kWhite);
  for (const auto& [x, y] : {std::pair{49, 100}, {100, 149}, {50, 99}, {299, 125}, {350, 125}}) {
    EXPECT_TRUE(is_dimmed(at(map, x, y))) << x << ", " << y;
  }
}

TEST(Maps, DeepenFramesByScore) {
  const image::Image map =
      draw_map(white(600, 400), 600, 400, {{0, 0, 100, 100, 2.0}, {200, 0, 100, 100, 1.0}}, {});
  EXPECT_EQ(at(map, 0, 0), kOrange);
  EXPECT_GT(at(map, 200, 0)[2], 90);  // paler: the white shines through
  EXPECT_LT(at(map, 200, 0)[2], 130);
}

TEST(Maps, BringPicturesToAReadableSize) {
  const auto expect = [](int64_t w, int64_t h, int64_t max_side, int64_t width, int64_t height) {
    const image::Image map = draw_map(white(w, h), w, h, {}, {}, max_side);
    EXPECT_EQ(map.width, width);
    EXPECT_GT(map.height, height);  // the legend lies below the picture
    EXPECT_LT(map.height, height + 70);
  };
  expect(256, 128, 1024, 512, 256);
  expect(700, 700, 1024, 700, 700);
  expect(2000, 1000, 1024, 1024, 512);
  expect(256, 256, 128, 128, 128);
  expect(1, 3000, 1024, 1, 1024);
}

TEST(Maps, ColourGreyPicturesAndClipPatches) {
  const image::Image map = draw_map(white(600, 600, 1), 600, 600, {{550, 550, 100, 100, 0}},
                                    {{-50, -50, 100, 100, 0}, {900, 900, 10, 10, 0}});
  ASSERT_EQ(map.channels, 3);
  EXPECT_EQ(at(map, 550, 550), kOrange);
  EXPECT_EQ(at(map, 49, 49), kSkyBlue);
}

TEST(Maps, SalientFramesLieOnTop) {
  const image::Image map =
      draw_map(white(600, 400), 600, 400, {{0, 0, 100, 100, 0}}, {{0, 0, 100, 100, 0}});
  EXPECT_EQ(at(map, 0, 0), kOrange);
}

TEST(Maps, HaveALegend) {
  const image::Image map = draw_map(white(600, 400), 600, 400, {}, {});
  int orange = 0, blue = 0;
  for (int64_t y = 400; y < map.height; ++y) {
    for (int64_t x = 0; x < map.width; ++x) {
      orange += at(map, x, y) == kOrange;
      blue += at(map, x, y) == kSkyBlue;
    }
  }
  EXPECT_GT(orange, 20);
  EXPECT_EQ(orange, blue);
}

TEST(Maps, ShowFourPanels) {
  const image::Image panels =
      draw_panels(white(600, 400), {{0, 0, 100, 100, 0}}, {{200, 0, 100, 100, 0}});
  const int64_t right = panels.width - 600;  // where the right panels begin
  const int64_t below = (panels.height + 8) / 2;
  EXPECT_EQ(at(panels, 0, 0), kWhite);  // the picture as it is
  EXPECT_EQ(at(panels, 200, 0), kWhite);
  EXPECT_EQ(at(panels, right, 0), kOrange);
  EXPECT_TRUE(is_dimmed(at(panels, right + 200, 0)));
  EXPECT_TRUE(is_dimmed(at(panels, 0, below)));
  EXPECT_EQ(at(panels, 200, below), kSkyBlue);
  EXPECT_EQ(at(panels, right, below), kOrange);
  EXPECT_EQ(at(panels, right + 200, below), kSkyBlue);
}

}  // namespace
}  // namespace dbps::report

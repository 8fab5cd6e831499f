#include "image/draw.h"

#include <gtest/gtest.h>

#include <string>

#include "image/lettering.h"

namespace dbps::image {
namespace {

// '#' where the picture is not black.
std::string drawing(const Image& image) {
  std::string text;
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      text += image.row(y)[x * image.channels] != 0 ? '#' : '.';
    }
    text += '\n';
  }
  return text;
}

TEST(Draw, FrameIsAnOutlineInwards) {
  Image image(7, 6, 3);
  draw_frame(image, 1, 1, 5, 4, 1, {255, 0, 0});
  EXPECT_EQ(drawing(image),
            ".......\n"
            ".#####.\n"
            ".#...#.\n"
            ".#...#.\n"
            ".#####.\n"
            ".......\n");
  EXPECT_EQ(image.row(1)[1 * 3], 255);
  EXPECT_EQ(image.row(1)[1 * 3 + 1], 0);
}

TEST(Draw, FrameIsCutAtThePicturesEdges) {
  Image image(4, 3, 1);
  draw_frame(image, -1, -1, 4, 9, 1, {9, 9, 9});
  EXPECT_EQ(drawing(image),
            "..#.\n"
            "..#.\n"
            "..#.\n");
  draw_frame(image, 10, 10, 4, 4, 1, {9, 9, 9});
  draw_frame(image, 0, 0, 2, 2, 5, {9, 9, 9});  // thicker than half: filled
  EXPECT_EQ(drawing(image),
            "###.\n"
            "###.\n"
            "..#.\n");
}

TEST(Draw, TintBlends) {
  Image image(2, 1, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), 100);
  tint(image, 1, 0, 5, 5, {200, 100, 0}, 0.5);
  EXPECT_EQ(image.pixels, (std::vector<uint8_t>{100, 100, 100, 150, 100, 50}));
  tint(image, 0, 0, 1, 1, {7, 8, 9}, 1.0);
  EXPECT_EQ(image.pixels[0], 7);
  tint(image, 0, 0, 2, 1, {255, 255, 255}, 0.0);
  EXPECT_EQ(image.pixels, (std::vector<uint8_t>{7, 8, 9, 150, 100, 50}));
}

TEST(Draw, PasteLeavesOutWhatDoesNotFit) {
  Image small(3, 2, 1);
  std::fill(small.pixels.begin(), small.pixels.end(), 9);
  Image image(5, 4, 1);
  paste(small, 1, 1, image);
  EXPECT_EQ(drawing(image),
            ".....\n"
            ".###.\n"
            ".###.\n"
            ".....\n");
  paste(small, -2, 3, image);
  paste(small, 4, -1, image);
  paste(small, 9, 0, image);
  EXPECT_EQ(drawing(image),
            "....#\n"
            ".###.\n"
            ".###.\n"
            "#....\n");
}

TEST(Lettering, WritesWordsAndSaysWhereTheyEnd) {
  Image image(15, 9, 3);
  EXPECT_EQ(write_text(image, 1, 0, 1, {255, 255, 255}, "L1"), 13);
  EXPECT_EQ(text_width("L1", 1), 12);
  EXPECT_EQ(drawing(image),
            ".#.......#.....\n"
            ".#......##.....\n"
            ".#.......#.....\n"
            ".#.......#.....\n"
            ".#.......#.....\n"
            ".#.......#.....\n"
            ".#####..###....\n"
            "...............\n"
            "...............\n");
  Image unknown(8, 9, 3), question(8, 9, 3);
  write_text(unknown, 0, 0, 1, {255, 255, 255}, "\xc3");
  write_text(question, 0, 0, 1, {255, 255, 255}, "?");
  EXPECT_EQ(unknown.pixels, question.pixels);
  write_text(question, -3, -4, 2, {9, 9, 9}, "beyond the edges");
}

}  // namespace
}  // namespace dbps::image

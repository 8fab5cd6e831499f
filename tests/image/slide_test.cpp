// Slides by level, and the pyramids that they are read from.
#include "image/slide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/error.h"
#include "base/files.h"
#include "image/codec.h"
#include "image/golden.h"
#include "image/pyramid.h"
#include "image/resize.h"
#include "image/tile.h"
#include "support/temp_folder.h"

namespace dbps::image {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

Image hills(int64_t width, int64_t height) {
  Image image(width, height, 3);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      uint8_t* pixel = image.row(y) + 3 * x;
      pixel[0] = static_cast<uint8_t>(60 + (x / 3 + y / 5) % 150);
      pixel[1] = static_cast<uint8_t>(40 + (x / 7) % 120);
      pixel[2] = static_cast<uint8_t>(80 + (y / 4) % 140);
    }
  }
  return image;
}

Image part_of(const Image& image, int64_t x, int64_t y, int64_t width, int64_t height) {
  Image part(width, height, 3);
  std::fill(part.pixels.begin(), part.pixels.end(), uint8_t{255});
  for (int64_t j = 0; j < height; ++j) {
    for (int64_t i = 0; i < width; ++i) {
      if (x + i < 0 || y + j < 0 || x + i >= image.width || y + j >= image.height) continue;
      std::copy_n(image.row(y + j) + 3 * (x + i), 3, part.row(j) + 3 * i);
    }
  }
  return part;
}

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    sum += std::abs(int{a.pixels[i]} - int{b.pixels[i]});
  }
  return sum / static_cast<double>(a.pixels.size());
}

class SlideTest : public testing::Test {
 protected:
  fs::path write_pyramid(const Image& picture, bool rgb = false) {
    const fs::path path = temp_.path() / "slide.tif";
    PyramidOptions options;
    options.width = picture.width;
    options.height = picture.height;
    options.tile = 64;
    options.quality = 97;
    options.rgb = rgb;
    options.mpp = 0.25;
    PyramidWriter writer(path, options);
    for (int64_t y = 0; y < picture.height; y += 64) {
      writer.write(
          part_of(picture, 0, y, picture.width, std::min<int64_t>(64, picture.height - y)));
    }
    writer.finish();
    return path;
  }

  TempFolder temp_;
};

TEST_F(SlideTest, APyramidHasItsLevelsScaleAndPixels) {
  const Image picture = hills(330, 200);
  for (const bool rgb : {false, true}) {
    const std::unique_ptr<Slide> slide = open_slide(write_pyramid(picture, rgb));
    const SlideInfo& info = slide->info();
    EXPECT_NEAR(info.mpp, 0.25, 1e-6);
    ASSERT_EQ(info.levels.size(), 3u);
    EXPECT_EQ(info.levels[1].width, 83);
    EXPECT_EQ(info.levels[2].height, 13);
    EXPECT_NEAR(info.levels[1].downsample, 4, 0.05);
    Image region(100, 90, 3);
    for (const auto& [x, y] : {std::pair{20, 30}, {-15, -10}, {270, 150}}) {
      slide->read(0, x, y, region);
      EXPECT_LT(mean_difference(region, part_of(picture, x, y, 100, 90)), 3) << x << " " << rgb;
    }
    Image whole(83, 50, 3);
    slide->read(1, 0, 0, whole);
    EXPECT_LT(mean_difference(whole, resize(picture, 83, 50)), 8);
  }
}

TEST_F(SlideTest, ItsJpegTilesAreItsPixels) {
  for (const bool rgb : {false, true}) {
    const std::unique_ptr<Slide> slide = open_slide(write_pyramid(hills(330, 200), rgb));
    const JpegTiles* form = slide->jpeg_tiles(0);
    ASSERT_NE(form, nullptr);
    EXPECT_EQ(form->width, 64);
    EXPECT_EQ(form->photometric, rgb ? "RGB" : "YCbCr");
    EXPECT_FALSE(form->tables.empty());
    Image tile(64, 64, 3), region(64, 64, 3);
    decode_tile(slide->read_jpeg_tile(0, 3, 2), "", {form->tables, form->photometric}, tile);
    slide->read(0, 3 * 64, 2 * 64, region);
    EXPECT_EQ(largest_difference(tile, region), 0);
  }
}

// Regions of a picture that comes from top to bottom, also when they are asked for in another
// order.
TEST_F(SlideTest, JpegAndPngComeInBands) {
  const Image picture = hills(150, 120);
  write_file_atomic(temp_.path() / "a.png", encode_png(picture));
  write_file_atomic(temp_.path() / "a.jpg", encode_jpeg(picture, 95));
  for (const char* name : {"a.png", "a.jpg"}) {
    const Image decoded = decode(read_file(temp_.path() / name), name);
    const std::unique_ptr<Slide> slide = open_slide(temp_.path() / name);
    EXPECT_TRUE(slide->info().in_bands);
    EXPECT_EQ(slide->jpeg_tiles(0), nullptr);
    for (const auto& [x, y, height] : {std::tuple{0, 0, 30},
                                       {40, 0, 30},
                                       {10, 20, 30},
                                       {0, 25, 8},
                                       {0, 90, 50},
                                       {5, 3, 40},
                                       {0, 43, 9}}) {
      Image region(60, height, 3);
      slide->read(0, x, y, region);
      EXPECT_EQ(largest_difference(region, part_of(decoded, x, y, 60, height)), 0)
          << name << " from " << y;
    }
  }
}

std::string refusal(const fs::path& path) {
  try {
    const std::unique_ptr<Slide> slide = open_slide(path);
    Image region(slide->info().levels[0].width, slide->info().levels[0].height, 3);
    slide->read(0, 0, 0, region);
    return "not refused";
  } catch (const DataError& error) {
    return error.what();
  }
}

TEST_F(SlideTest, RefusesWhatItCannotReadByName) {
  const auto golden = [](const char* name) { return refusal(golden_folder() / name); };
  EXPECT_THAT(golden("wide.tif"), HasSubstr("wide.tif: 16 bits a channel are not supported"));
  EXPECT_THAT(golden("wide.png"), HasSubstr("16 bits"));
  EXPECT_THAT(golden("turned6.tif"), HasSubstr("turned slides are not supported"));
  EXPECT_THAT(golden("turned6.jpg"), HasSubstr("turned slides are not supported"));
  EXPECT_THAT(golden("interlaced.png"), HasSubstr("without interlacing"));
  // libtiff names the file itself in what it says of this one.
  std::vector<uint8_t> cut = read_file(golden_folder() / "jpeg.tif");
  std::fill(cut.begin() + 4, cut.begin() + 8, uint8_t{0x7f});  // where the directory begins
  write_file_atomic(temp_.path() / "cut.tif", cut);
  const std::string line = refusal(temp_.path() / "cut.tif");
  EXPECT_THAT(line, HasSubstr("damaged TIFF: "));
  EXPECT_EQ(line.rfind("cut.tif"), line.find("cut.tif")) << line;
  write_file_atomic(temp_.path() / "text.svs", std::string_view("no slide"));
  EXPECT_THAT(refusal(temp_.path() / "text.svs"), HasSubstr("text.svs: neither a slide"));
  write_file_atomic(temp_.path() / "none.tif", std::string_view());
  EXPECT_THAT(refusal(temp_.path() / "none.tif"), HasSubstr("none.tif: the file is empty"));
  EXPECT_THAT(refusal(temp_.path() / "absent.tif"), HasSubstr("absent.tif"));
}

// Every kind of TIFF that is a picture is a slide of one level with the same pixels.
TEST_F(SlideTest, ReadsTiffsOfEveryKind) {
  int read = 0;
  for (const char* name : {"bilevel.tif", "cmyk.tif", "grey.tif", "grey_alpha.tif", "jpeg.tif",
                           "packbits.tif", "palette.tif", "planes.tif", "rgb.tif", "rgba.tif",
                           "strips.tif", "tiff_lzw.tif", "tiles.tif", "turned1.tif"}) {
    const fs::path path = golden_folder() / name;
    const Image expected = decode(read_file(path), name);
    const std::unique_ptr<Slide> slide = open_slide(path);
    ASSERT_EQ(slide->info().levels.size(), 1u) << name;
    Image region(expected.width, expected.height, 3);
    slide->read(0, 0, 0, region);
    EXPECT_LE(largest_difference(region, expected), 0) << name;
    ++read;
  }
  EXPECT_EQ(read, 14);
}

TEST_F(SlideTest, DamageGivesPixelsOrOneLine) {
  const std::vector<uint8_t> whole = read_file(write_pyramid(hills(330, 200)));
  const fs::path path = temp_.path() / "damaged.tif";
  std::mt19937 random(5);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::vector<uint8_t> bytes = whole;
    if (i % 3 == 0) {
      bytes.resize(random() % whole.size());
    } else {
      // Directories lie at the end: half of the flips go there.
      const size_t from = i % 2 == 0 ? 0 : whole.size() - 1200;
      bytes[from + random() % (whole.size() - from)] ^= static_cast<uint8_t>(1 + random() % 255);
    }
    write_file_atomic(path, bytes);
    const std::string line = refusal(path);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    if (line == "not refused") continue;
    EXPECT_THAT(line, HasSubstr("damaged.tif"));
    ++refused;
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace dbps::image

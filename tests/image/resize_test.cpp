#include "image/resize.h"

#include <gtest/gtest.h>

#include <map>

#include "image/golden.h"

namespace dbps::image {
namespace {

TEST(Resize, EqualsPillow) {
  std::map<std::string, Image> sources;
  int compared = 0;
  for (const GoldenRecord& record : golden_records()) {
    const std::string kind = record.name.substr(record.name.find('/') + 1);
    if (record.name.starts_with("source/")) sources[kind] = record.image;
    if (!record.name.starts_with("resize/")) continue;
    const Image& source = sources.at(kind);
    const Image result = resize(source, record.image.width, record.image.height);
    // Pillow 13 takes the vertical pass first here, earlier ones the horizontal, as we do.
    const bool other_order = result.width > source.width && result.height < source.height;
    EXPECT_LE(largest_difference(result, record.image), other_order ? 1 : 0)
        << kind << " to " << record.image.width << " x " << record.image.height;
    ++compared;
  }
  EXPECT_EQ(compared, 20);
}

TEST(Resize, KeepsAConstantPictureAndOneOfTheSameSize) {
  Image white(700, 3, 3);
  std::fill(white.pixels.begin(), white.pixels.end(), 255);
  const Image small = resize(white, 2, 9);
  EXPECT_TRUE(
      std::all_of(small.pixels.begin(), small.pixels.end(), [](int v) { return v == 255; }));
  white.pixels[5] = 7;
  EXPECT_EQ(resize(white, 700, 3).pixels, white.pixels);
}

}  // namespace
}  // namespace dbps::image

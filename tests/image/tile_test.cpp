// Tiles with their tables inside, and without.
#include "image/tile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "image/codec.h"
#include "image/golden.h"

namespace dbps::image {
namespace {

using Bytes = std::vector<uint8_t>;
using testing::HasSubstr;

Image waves(int64_t side) {
  Image image(side, side, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(100 + i % 13 * 5 + i / 997);
  }
  return image;
}

// A JPEG's tables and the rest of it, as a TIFF keeps the two apart; APPn and COM fall away.
struct Parted {
  Bytes tables = {0xFF, 0xD8};
  Bytes tile = {0xFF, 0xD8};
};

Parted part(const Bytes& jpeg) {
  Parted parted;
  size_t at = 2;
  while (jpeg[at + 1] != 0xDA) {
    const size_t size = 2 + size_t{jpeg[at + 2]} * 256 + jpeg[at + 3];
    const uint8_t marker = jpeg[at + 1];
    Bytes& to = marker == 0xDB || marker == 0xC4 ? parted.tables : parted.tile;
    if (marker < 0xE0) to.insert(to.end(), jpeg.begin() + at, jpeg.begin() + at + size);
    at += size;
  }
  parted.tables.insert(parted.tables.end(), {0xFF, 0xD9});
  parted.tile.insert(parted.tile.end(), jpeg.begin() + at, jpeg.end());
  return parted;
}

TEST(Tile, DecodesWithTablesFromElsewhereAsWithItsOwn) {
  for (const int quality : {80, 95}) {
    const Bytes jpeg = encode_jpeg(waves(48), quality);
    const Parted parted = part(jpeg);
    ASSERT_LT(parted.tile.size() + 300, jpeg.size());
    Image tile(48, 48, 3);
    decode_tile(parted.tile, "a tile", {parted.tables, "YCbCr"}, tile);
    EXPECT_EQ(largest_difference(tile, decode(jpeg, "a picture")), 0);
    decode_tile(jpeg, "a tile", {}, tile);
    EXPECT_EQ(largest_difference(tile, decode(jpeg, "a picture")), 0);
  }
}

// Of a grey tile Y is the grey and both differences are 128: so a reader that is told RGB shows it.
TEST(Tile, ReadsTheColoursItIsTold) {
  Image grey(16, 16, 3);
  std::fill(grey.pixels.begin(), grey.pixels.end(), uint8_t{200});
  const Parted parted = part(encode_jpeg(grey, 95));
  Image tile(16, 16, 3);
  decode_tile(parted.tile, "a tile", {parted.tables, "RGB"}, tile);
  for (size_t i = 0; i < tile.pixels.size(); i += 3) {
    ASSERT_NEAR(tile.pixels[i], 200, 1);
    ASSERT_NEAR(tile.pixels[i + 1], 128, 1);
    ASSERT_NEAR(tile.pixels[i + 2], 128, 1);
  }
  tile.channels = 1;
  decode_tile(parted.tile, "a tile", {parted.tables, "YCbCr"}, tile);
  ASSERT_EQ(tile.pixels.size(), 256u);
  EXPECT_NEAR(tile.pixels[7], 200, 1);
}

TEST(Tile, PngIsRead) {
  const Image image = waves(20);
  Image tile(20, 20, 3);
  decode_tile(encode_png(image), "a tile", {}, tile);
  EXPECT_EQ(largest_difference(tile, image), 0);
}

std::string refusal(const Bytes& bytes, const TileForm& form) {
  Image tile(16, 16, 3);
  try {
    decode_tile(bytes, "slide 7", form, tile);
  } catch (const DataError& error) {
    decode_tile(encode_jpeg(waves(16)), "a whole one", {}, tile);  // it may be used again
    return error.what();
  }
  return "not refused";
}

TEST(Tile, RefusesWhatIsNotTheTileExpected) {
  const Parted parted = part(encode_jpeg(waves(16), 95));
  EXPECT_THAT(refusal(encode_jpeg(waves(17)), {}), HasSubstr("slide 7: a tile of 17 x 17 pixels"));
  EXPECT_THAT(refusal(encode_png(waves(15)), {}), HasSubstr("where 16 x 16 were expected"));
  EXPECT_THAT(refusal(parted.tile, {}), HasSubstr("slide 7: damaged JPEG"));
  EXPECT_THAT(refusal(parted.tile, {encode_jpeg(waves(16)), ""}), HasSubstr("hold a picture"));
  const Bytes half(parted.tile.begin(), parted.tile.begin() + parted.tile.size() / 2);
  EXPECT_THAT(refusal(half, {parted.tables, "RGB"}), HasSubstr("slide 7: damaged JPEG"));
  EXPECT_THAT(refusal({}, {}), HasSubstr("slide 7: the file is empty"));
}

}  // namespace
}  // namespace dbps::image

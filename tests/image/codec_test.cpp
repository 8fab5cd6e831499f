#include "image/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "image/golden.h"
#include "image/resize.h"

namespace dbps::image {
namespace {

using ::testing::HasSubstr;

std::vector<uint8_t> sample(const std::string& file) { return read_file(golden_folder() / file); }

std::string error_of(const std::vector<uint8_t>& bytes, const DecodeOptions& options = {}) {
  try {
    decode(bytes, "a picture", options);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

Image gradient(int64_t width, int64_t height, int channels) {
  Image image(width, height, channels);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width * channels; ++x) {
      image.row(y)[x] = static_cast<uint8_t>((x * 3 + y * 5) % 251);
    }
  }
  return image;
}

TEST(Decode, EqualsPillowInEveryModeAndOrientation) {
  std::set<std::string> files;
  for (const GoldenRecord& record : golden_records()) {
    if (!record.name.starts_with("decode/")) continue;
    const std::string file = record.name.substr(7);
    // Alpha and ink are multiplied in, which each library rounds in its own way.
    const bool has_product = file.find("alpha") != std::string::npos || file.starts_with("rgba") ||
                             file.starts_with("cmyk");
    EXPECT_LE(largest_difference(decode(sample(file), file), record.image), has_product ? 1 : 0)
        << file;
    const Info info = probe(sample(file), file);
    EXPECT_EQ(info.width, record.image.width) << file;
    EXPECT_EQ(info.height, record.image.height) << file;
    files.insert(file);
  }
  EXPECT_EQ(files.size(), 44u);
}

TEST(Decode, GreyIsTheLumaOfRgb) {
  DecodeOptions grey;
  grey.channels = 1;
  for (const std::string file : {"rgb.png", "cmyk.tif", "turned6.jpg", "grey.jpg", "grey_alpha.png",
                                 "interlaced.png", "turned5.tif"}) {
    const Image rgb = decode(sample(file), file);
    const Image result = decode(sample(file), file, grey);
    ASSERT_EQ(result.channels, 1);
    ASSERT_EQ(result.pixels.size() * 3, rgb.pixels.size());
    // In a JPEG the luma is stored, and colours made from it are clipped.
    const double tolerance = file.ends_with("6.jpg") ? 2.5 : 0.51;
    for (size_t i = 0; i < result.pixels.size(); ++i) {
      const uint8_t* p = rgb.pixels.data() + 3 * i;
      ASSERT_NEAR(result.pixels[i], 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2], tolerance) << file;
    }
  }
}

TEST(Decode, AJpegComesOutSmallerWhereThatIsEnough) {
  const auto size = [](int64_t side, int64_t width, int64_t height) {
    const Image image = decode(encode_jpeg(gradient(side, 104, 3)), "a picture",
                               {.enough_width = width, .enough_height = height});
    return std::pair(image.width, image.height);
  };
  using Size = std::pair<int64_t, int64_t>;
  EXPECT_EQ(size(160, 0, 0), Size(160, 104));
  EXPECT_EQ(size(160, 81, 50), Size(160, 104));
  EXPECT_EQ(size(160, 80, 52), Size(80, 52));
  EXPECT_EQ(size(160, 40, 27), Size(80, 52));
  EXPECT_EQ(size(160, 40, 26), Size(40, 26));
  EXPECT_EQ(size(160, 1, 1), Size(20, 13));
  EXPECT_EQ(size(162, 1, 1), Size(81, 52));
  EXPECT_EQ(size(161, 1, 1), Size(161, 104));
}

// A JPEG with an EXIF block that holds an orientation alone.
std::vector<uint8_t> turned(std::vector<uint8_t> jpeg, uint8_t orientation) {
  const std::vector<uint8_t> block = {
      0xFF, 0xE1, 0,    34,   'E', 'x', 'i', 'f', 0, 0, 'M', 'M',         0, 42, 0, 0, 0, 8,
      0,    1,    0x01, 0x12, 0,   3,   0,   0,   0, 1, 0,   orientation, 0, 0,  0, 0, 0, 0};
  jpeg.insert(jpeg.begin() + 2, block.begin(), block.end());
  return jpeg;
}

TEST(Decode, ASmallerJpegIsUpright) {
  Image picture(160, 96, 3);
  for (int64_t y = 0; y < picture.height; ++y) {
    for (int64_t x = 0; x < picture.width * 3; ++x) {
      picture.row(y)[x] = static_cast<uint8_t>(x / 3 + y / 2);
    }
  }
  const std::vector<uint8_t> jpeg = encode_jpeg(picture);
  for (uint8_t orientation = 1; orientation <= 8; ++orientation) {
    const std::vector<uint8_t> bytes = turned(jpeg, orientation);
    const Image full = decode(bytes, "a picture");
    EXPECT_EQ(full.width, orientation < 5 ? 160 : 96);
    const Image half =
        decode(bytes, "a picture", {.enough_width = full.width / 2, .enough_height = 1});
    ASSERT_EQ(half.width, full.width / 2);
    EXPECT_LE(largest_difference(half, resize(full, half.width, half.height)), 4) << +orientation;
  }
}

TEST(Probe, SaysWhatTheHeaderSays) {
  const auto mode = [](const std::string& file) { return probe(sample(file), file).mode; };
  EXPECT_EQ(mode("rgb.jpg"), Mode::kRgb);
  EXPECT_EQ(mode("grey.jpg"), Mode::kGrey);
  EXPECT_EQ(mode("cmyk.jpg"), Mode::kCmyk);
  EXPECT_EQ(mode("palette.png"), Mode::kPalette);
  EXPECT_EQ(mode("grey_alpha.png"), Mode::kGreyAlpha);
  EXPECT_EQ(mode("rgba.png"), Mode::kRgba);
  EXPECT_EQ(mode("palette.tif"), Mode::kPalette);
  EXPECT_EQ(mode("grey_alpha.tif"), Mode::kGreyAlpha);
  EXPECT_EQ(mode("rgba.tif"), Mode::kRgba);
  EXPECT_EQ(mode("cmyk.tif"), Mode::kCmyk);
  EXPECT_EQ(mode("bilevel.tif"), Mode::kGrey);
  EXPECT_EQ(probe(sample("wide.png"), "").bits, 16);
  EXPECT_EQ(probe(sample("wide.tif"), "").bits, 16);
  for (const std::string file : {"turned7.jpg", "turned7.tif"}) {
    const Info info = probe(sample(file), file);
    EXPECT_EQ(info.orientation, 7);
    EXPECT_EQ(info.width, 14);
    EXPECT_EQ(info.height, 21);
  }
}

TEST(Probe, ReadsOnlyTheHeader) {
  const std::vector<uint8_t> png = encode_png(gradient(300, 200, 3));
  EXPECT_EQ(probe(std::span(png).first(60), "").width, 300);
  const std::vector<uint8_t> jpeg = encode_jpeg(gradient(300, 200, 3));
  EXPECT_EQ(probe(std::span(jpeg).first(800), "").height, 200);
}

TEST(Decode, RefusesWhatItCannotDoInOneLine) {
  EXPECT_THAT(error_of(sample("wide.png")), HasSubstr("a picture: 16 bits"));
  EXPECT_THAT(error_of(sample("wide.tif")), HasSubstr("a picture: 16 bits"));
  EXPECT_THAT(error_of({}), HasSubstr("a picture: the file is empty"));
  EXPECT_THAT(error_of({'G', 'I', 'F', '8', '9', 'a'}), HasSubstr("not a JPEG, PNG or TIFF"));
  DecodeOptions small;
  small.max_pixels = 21 * 14 - 1;
  for (const std::string file : {"rgb.jpg", "rgb.png", "rgb.tif"}) {
    EXPECT_THAT(error_of(sample(file), small),
                testing::AllOf(HasSubstr("data.picture_pixels"), HasSubstr("tiles")))
        << file;
    small.max_pixels += 1;
    EXPECT_EQ(error_of(sample(file), small), "") << file;
    small.max_pixels -= 1;
  }
}

TEST(Decode, RefusesEveryTruncation) {
  for (const std::string file :
       {"rgb420.jpg", "progressive.jpg", "rgb.png", "palette_alpha.png", "interlaced.png",
        "tiff_lzw.tif", "tiff_adobe_deflate.tif", "packbits.tif", "jpeg.tif", "tiles.tif"}) {
    const std::vector<uint8_t> whole = sample(file);
    ASSERT_EQ(error_of(whole), "");
    for (size_t size = 0; size < whole.size(); ++size) {
      const std::vector<uint8_t> part(whole.begin(), whole.begin() + size);
      ASSERT_NE(error_of(part), "") << file << " cut to " << size << " of " << whole.size();
    }
  }
}

// A strip said to be shorter than it is: its JPEG ends early, of which libtiff only warns.
TEST(Decode, RefusesATiffWhoseJpegEndsEarly) {
  std::vector<uint8_t> bytes = sample("jpeg.tif");
  const std::vector<uint8_t> strip_byte_counts = {0x17, 0x01, 4, 0, 1, 0, 0, 0};
  const auto entry =
      std::search(bytes.begin(), bytes.end(), strip_byte_counts.begin(), strip_byte_counts.end());
  ASSERT_NE(entry, bytes.end());
  ASSERT_GT(entry[8], 40);
  entry[8] = static_cast<uint8_t>(entry[8] - 40);
  EXPECT_THAT(error_of(bytes), HasSubstr("damaged TIFF"));
}

TEST(Decode, RefusesATiffOfACompressionThatIsNotReadByItsNumber) {
  std::vector<uint8_t> bytes = sample("jpeg.tif");
  const std::vector<uint8_t> compression = {0x03, 0x01, 3, 0, 1, 0, 0, 0, 7, 0};
  const auto entry =
      std::search(bytes.begin(), bytes.end(), compression.begin(), compression.end());
  ASSERT_NE(entry, bytes.end());
  entry[8] = 33003 % 256;  // JPEG 2000, as Aperio writes it
  entry[9] = 33003 / 256;
  EXPECT_THAT(error_of(bytes),
              testing::AllOf(HasSubstr("TIFF of compression 33003 is not supported"),
                             testing::Not(HasSubstr("damaged"))));
}

TEST(Decode, FlippedBytesGiveAPictureOrADataError) {
  DecodeOptions options;
  options.max_pixels = 1e6;
  int refused = 0;
  for (const std::string file : {"rgb420.jpg", "progressive.jpg", "cmyk.jpg", "turned6.jpg",
                                 "palette_alpha.png", "interlaced.png", "tiff_lzw.tif", "jpeg.tif",
                                 "tiles.tif", "planes.tif", "palette.tif", "strips.tif"}) {
    const std::vector<uint8_t> whole = sample(file);
    for (uint64_t round = 0; round < 300; ++round) {
      RandomStream random(1, Purpose::kDemo, round, stable_hash(file.data(), file.size()));
      std::vector<uint8_t> bytes = whole;
      for (int64_t flips = 1 + random.below(4); flips > 0; --flips) {
        // Half of the flips hit the headers, where they do most.
        const int64_t end = static_cast<int64_t>(bytes.size());
        const int64_t reach = random.below(2) ? end : std::min<int64_t>(end, 200);
        bytes[static_cast<size_t>(random.below(reach))] ^=
            static_cast<uint8_t>(1 + random.below(255));
      }
      if (!error_of(bytes, options).empty()) ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Encode, PngRoundTripIsExact) {
  for (const int channels : {1, 3}) {
    const Image image = gradient(33, 17, channels);
    DecodeOptions options;
    options.channels = channels;
    for (const int level : {0, 6, 9}) {
      EXPECT_EQ(decode(encode_png(image, level), "", options).pixels, image.pixels);
    }
  }
}

TEST(Encode, JpegKeepsFullColourFromQuality90) {
  Image stripes(32, 32, 3);  // single columns of red and blue: lost when chroma is halved
  for (int64_t y = 0; y < 32; ++y) {
    for (int64_t x = 0; x < 32; ++x) stripes.row(y)[3 * x + (x % 2 ? 0 : 2)] = 255;
  }
  EXPECT_LT(largest_difference(decode(encode_jpeg(stripes, 95), ""), stripes), 40);
  EXPECT_GT(largest_difference(decode(encode_jpeg(stripes, 89), ""), stripes), 90);
  EXPECT_GT(encode_jpeg(stripes, 90).size(), encode_jpeg(stripes, 89).size());
}

TEST(Encode, JpegOfGrey) {
  const Image image = gradient(19, 23, 1);
  DecodeOptions grey;
  grey.channels = 1;
  EXPECT_EQ(probe(encode_jpeg(image), "").mode, Mode::kGrey);
  EXPECT_EQ(decode(encode_jpeg(image), "", grey).height, 23);
}

}  // namespace
}  // namespace dbps::image

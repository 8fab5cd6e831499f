// Coordinates of tiles in the layouts of other tools; tests/program/layouts_test.py reads them with
// h5py.
#include <gmock/gmock.h>

#include "base/error.h"
#include "store/slide_coordinates.h"
#include "store/slide_layouts.h"
#include "store_fixture.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

WriterOptions tile_options(double mpp = 0.0) {
  WriterOptions options;
  options.settings.kind = Kind::kTiles;
  options.settings.tile_size = 256;
  options.settings.mpp = mpp;
  return options;
}

// A part of a slide of `count` tiles, at x = 512 i and y = 100 part.
void append_part(Writer& writer, const std::string& id, int32_t part, int count) {
  const std::vector<uint8_t> bytes = some_bytes(50, static_cast<uint32_t>(part));
  std::vector<EncodedTile> tiles;
  for (int i = 0; i < count; ++i) tiles.push_back({bytes, 512 * i, 100 * part});
  Bag bag;
  bag.id = id;
  bag.width = 90000;
  bag.height = 70000;
  bag.level = 1;
  bag.downsample = 2.0;
  bag.mpp = 0.5;
  bag.part = part;
  writer.append(bag, {"/data/" + id + ".tif", 1, 1, "crc32c:00000001", {}, ""},
                std::span<const EncodedTile>(tiles));
}

void make_tile_store(const fs::path& folder, double mpp = 0.0) {
  Writer writer(folder, tile_options(mpp));
  append_part(writer, "a/one", 1, 3);
  append_part(writer, "two", 0, 1);
  append_part(writer, "a/one", 0, 2);
  writer.finish();
}

TEST(SlideLayouts, PartsOfASlideComeTogetherInOrder) {
  TempFolder temp;
  make_tile_store(temp.path() / "store");
  const Reader reader(temp.path() / "store");
  int64_t seen = 0;
  const WrittenSlides written = write_slides(reader, temp.path() / "out", SlideLayout::kClam,
                                             [&](int64_t done, int64_t) { seen = done; });
  EXPECT_EQ(written.slides, 2);
  EXPECT_EQ(written.patches, 6);
  EXPECT_EQ(seen, 2);
  const SlideCoordinates read =
      read_slide_coordinates(temp.path() / "out" / "patches" / "a" / "one.h5");
  ASSERT_EQ(read.places.size(), 5u);
  EXPECT_EQ(read.places[1].x, 512);
  EXPECT_EQ(read.places[1].y, 0);
  EXPECT_EQ(read.places[4].x, 1024);
  EXPECT_EQ(read.places[4].y, 100);
  EXPECT_EQ(read.frame.size, 256);
  EXPECT_EQ(read.frame.level, 1);
  EXPECT_EQ(read.frame.downsample, 2.0);
}

TEST(SlideLayouts, ClamReadsTheSquareOfLevelZeroOfTilesOfAnotherResolution) {
  TempFolder temp;
  make_tile_store(temp.path() / "store", 0.5);
  const Reader reader(temp.path() / "store");
  write_slides(reader, temp.path() / "out", SlideLayout::kClam);
  const PatchFrame frame = read_slide_coordinates(temp.path() / "out" / "patches" / "two.h5").frame;
  EXPECT_EQ(frame.size, 512);
  EXPECT_EQ(frame.level, 0);
  EXPECT_EQ(frame.downsample, 1.0);
}

TEST(SlideLayouts, TridentKeepsTheSizeAtBothLevels) {
  TempFolder temp;
  make_tile_store(temp.path() / "store", 0.5);
  const Reader reader(temp.path() / "store");
  write_slides(reader, temp.path() / "out", SlideLayout::kTrident);
  const PatchFrame frame =
      read_slide_coordinates(temp.path() / "out" / "patches" / "two_patches.h5").frame;
  EXPECT_EQ(frame.size, 256);
  EXPECT_EQ(frame.downsample, 2.0);
  EXPECT_EQ(frame.width, 90000);
  EXPECT_EQ(frame.height, 70000);
}

TEST(SlideLayouts, ADamagedVectorLeavesNoFile) {
  TempFolder temp;
  WriterOptions options;
  options.settings.kind = Kind::kFeatures;
  options.settings.channels = 16;
  options.settings.pixel_type = "float32";
  const std::vector<uint8_t> bytes = some_bytes(64 * 20, 5);
  {
    Writer writer(temp.path() / "store", options);
    Vectors vectors;
    vectors.count = 20;
    vectors.read = [&](int64_t first, int64_t count, uint8_t* out) {
      std::copy_n(bytes.begin() + 64 * first, 64 * count, out);
    };
    Bag bag;
    bag.id = "b";
    writer.append(bag, {"b.npy", 1, 1, "", {}, ""}, vectors);
    writer.finish();
  }
  const fs::path shard = temp.path() / "store" / "shard-00000.h5";
  flip_byte(shard, find_in_file(shard, std::string(bytes.begin(), bytes.begin() + 64)) + 3);
  const Reader reader(temp.path() / "store");
  EXPECT_THROW(write_slides(reader, temp.path() / "out", SlideLayout::kClam), DataError);
  EXPECT_TRUE(fs::is_empty(temp.path() / "out" / "h5_files"));
}

TEST(SlideLayouts, AFileWithoutCoordinatesIsNamed) {
  TempFolder temp;
  make_tile_store(temp.path());
  try {
    read_slide_coordinates(temp.path() / "shard-00000.h5");
    FAIL() << "a shard is no file of coordinates";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("shard-00000.h5: it has no dataset 'coords', but bags"));
  }
}

}  // namespace
}  // namespace dbps::store

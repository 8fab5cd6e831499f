// Tissue and grid on masks small enough to be counted by hand.
#include "ingest/tissue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ingest/tile_grid.h"

namespace dbps::ingest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// '#': tissue, '.': glass; each character is a block of 5 x 5 cells, so that smoothing leaves it.
image::Thumbnail drawn(const std::vector<std::string>& lines) {
  constexpr int64_t kBlock = 5;
  image::Thumbnail thumbnail;
  thumbnail.cell = 10;
  thumbnail.image = image::Image(kBlock * static_cast<int64_t>(lines[0].size()),
                                 kBlock * static_cast<int64_t>(lines.size()), 3);
  for (int64_t y = 0; y < thumbnail.image.height; ++y) {
    for (int64_t x = 0; x < thumbnail.image.width; ++x) {
      const bool tissue = lines[y / kBlock][x / kBlock] == '#';
      uint8_t* pixel = thumbnail.image.row(y) + 3 * x;
      pixel[0] = 220;
      pixel[1] = tissue ? 110 : 216;  // saturations of 128 and 5
      pixel[2] = 220;
    }
  }
  return thumbnail;
}

std::vector<std::string> found(const std::vector<std::string>& lines,
                               const store::TileSettings& settings, double tile_cells) {
  const TissueMask mask = find_tissue(drawn(lines), settings, tile_cells);
  std::vector<std::string> result;
  for (int64_t y = 2; y < mask.height; y += 5) {
    std::string line;
    for (int64_t x = 2; x < mask.width; x += 5) {
      line += mask.is_tissue[static_cast<size_t>(y * mask.width + x)] ? '#' : '.';
    }
    result.push_back(line);
  }
  return result;
}

TEST(Otsu, PartsTwoGroups) {
  std::vector<int64_t> histogram(256);
  histogram[10] = 50;
  histogram[12] = 50;
  histogram[200] = 3;
  histogram[210] = 4;
  EXPECT_EQ(otsu_threshold(histogram), 12);
  histogram.assign(256, 0);
  histogram[7] = 5;
  EXPECT_EQ(otsu_threshold(histogram), 0);
}

TEST(Tissue, SpecksGoAndHolesAreFilled) {
  const std::vector<std::string> lines = {
      "..........", ".####...#.", ".#..#.....", ".#..#...##", ".####...##", "..........",
  };
  store::TileSettings settings;
  settings.specks = 2;  // tiles of 25 cells: one character
  settings.holes = 5;
  EXPECT_THAT(found(lines, settings, 25), ElementsAre("..........", ".####.....", ".####.....",
                                                      ".####...##", ".####...##", ".........."));
  settings.specks = 0;
  settings.holes = 3.5;  // the hole is larger
  EXPECT_EQ(found(lines, settings, 25), lines);
}

TEST(Tissue, CornersHoldTogetherAndHolesAtTheEdgeStay) {
  const std::vector<std::string> lines = {
      "#.#.",
      ".#..",
      "#.##",
      "###.",
  };
  store::TileSettings settings;
  settings.specks = 3;
  settings.holes = 2;
  EXPECT_THAT(found(lines, settings, 25), ElementsAre("#.#.", ".#..", "####", "###."));
}

// Faint noise has an Otsu's threshold too.
TEST(Tissue, GlassAloneHoldsNone) {
  image::Thumbnail thumbnail = drawn({"....", "...."});
  for (size_t i = 0; i < thumbnail.image.pixels.size(); ++i) {
    thumbnail.image.pixels[i] = static_cast<uint8_t>(232 + i * 7 % 9);
  }
  EXPECT_EQ(find_tissue(thumbnail, {}, 25).share(), 0);
}

image::SlideInfo slide_of(std::vector<image::SlideLevel> levels) {
  image::SlideInfo info;
  info.levels = std::move(levels);
  return info;
}

store::Settings settings_for(double mpp, int64_t tile = 100) {
  store::Settings settings;
  settings.kind = store::Kind::kTiles;
  settings.tile_size = tile;
  settings.mpp = mpp;
  return settings;
}

TEST(Scale, TakesTheCoarsestLevelThatIsFineEnough) {
  const image::SlideInfo info = slide_of({{4000, 4000, 1}, {1000, 1000, 4}, {250, 250, 16}});
  const auto scale = [&](double slide_mpp, double mpp) {
    return choose_scale(info, slide_mpp, settings_for(mpp), "s");
  };
  EXPECT_EQ(scale(0.25, 0.25).level, 0);
  EXPECT_EQ(scale(0.25, 0.94).level, 0);  // 1 micron is coarser by more than a twentieth
  EXPECT_EQ(scale(0.25, 0.96).level, 1);
  EXPECT_EQ(scale(0.25, 0.96).shrink, 1);
  EXPECT_EQ(scale(0.25, 2).level, 1);
  EXPECT_EQ(scale(0.25, 2).shrink, 2);
  EXPECT_EQ(scale(0.25, 2).downsample(), 8);
  EXPECT_EQ(scale(0.26, 0.25).shrink, 1);
  EXPECT_EQ(scale(0.26, 0.25).mpp, 0.26);
  try {
    scale(0.5, 0.25);
    FAIL() << "pixels were made up";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("s: its pixels of 0.5 microns are coarser than the 0.25"));
  }
  store::Settings settings = settings_for(0);
  settings.tiles.level = 2;
  EXPECT_EQ(choose_scale(info, 0, settings, "s").downsample(), 16);
  settings.tiles.level = 3;
  EXPECT_THROW(choose_scale(info, 0, settings, "s"), DataError);
}

TEST(Grid, KeepsWholeTilesWithTheirShareOfTissue) {
  const image::SlideInfo info = slide_of({{350, 210, 1}});
  TissueMask mask;
  mask.width = 35;
  mask.height = 21;
  mask.cell = 10;
  mask.is_tissue.assign(35 * 21, 0);
  const auto fill = [&](int64_t x0, int64_t x1, int64_t y0, int64_t y1) {
    for (int64_t y = y0; y < y1; ++y) {
      for (int64_t x = x0; x < x1; ++x) mask.is_tissue[static_cast<size_t>(y * 35 + x)] = 1;
    }
  };
  fill(0, 5, 0, 5);      // a quarter of the first tile
  fill(10, 15, 0, 4);    // a fifth of the second
  fill(20, 35, 10, 21);  // all of the last one, and beyond the last whole tile
  store::Settings settings = settings_for(0);
  const auto kept = [&] {
    const TileGrid grid = keep_tiles(info, choose_scale(info, 0, settings, ""), settings, mask);
    std::vector<std::pair<int64_t, int64_t>> places;
    for (const GridTile& tile : grid.kept) places.emplace_back(tile.x, tile.y);
    return places;
  };
  EXPECT_THAT(kept(), ElementsAre(std::pair(0, 0), std::pair(200, 100)));
  settings.tiles.foreground = 0.2;
  EXPECT_THAT(kept(), ElementsAre(std::pair(0, 0), std::pair(100, 0), std::pair(200, 100)));
  settings.tiles.foreground = 0;
  EXPECT_EQ(kept().size(), 6u);
  settings.tiles.overlap = 50;
  EXPECT_EQ(kept().size(), 18u);  // six places a row, three rows
}

// A cell belongs to the tile in which its centre lies.
TEST(Grid, CountsCellsByTheirCentres) {
  const image::SlideInfo info = slide_of({{90, 18, 1}});
  TissueMask mask;
  mask.width = 9;
  mask.height = 2;
  mask.cell = 10;
  mask.is_tissue.assign(18, 0);
  mask.is_tissue[3] = mask.is_tissue[12] = 1;  // from 30 to 40
  store::Settings settings = settings_for(0, 18);
  settings.tiles.foreground = 0.5;
  const TileGrid grid = keep_tiles(info, choose_scale(info, 0, settings, ""), settings, mask);
  ASSERT_EQ(grid.columns, 5);
  ASSERT_EQ(grid.kept.size(), 1u);  // from 18 to 36: the cells 2 and 3
  EXPECT_EQ(grid.kept[0].x, 18);
}

// A slide without a pyramid, or small tiles: the thumbnail would not fit.
TEST(Cells, AreLargerWhereThereWouldBeTooMany) {
  EXPECT_EQ(cell_for(slide_of({{100000, 100000, 1}}), 256), 32);
  EXPECT_NEAR(cell_for(slide_of({{300000, 160000, 1}}), 8), 31.6, 0.1);
}

}  // namespace
}  // namespace dbps::ingest

#include "data/grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace dbps::data {
namespace {

using ::testing::ElementsAre;

DataOptions options_of(int64_t width, int64_t height, int64_t patch, Edge edge = Edge::kDrop,
                       int64_t stride = 0) {
  DataOptions options;
  options.width = width;
  options.height = height;
  options.patch_size = patch;
  options.patch_stride = stride;
  options.edge = edge;
  return options;
}

// Table 1 of the paper: the rows' N, M, L and r; the numbers expected were worked out by hand.
TEST(Grid, TableOne) {
  struct Row {
    const char* name;
    int64_t width, height, patch, n, m, l;
    const char* r;
    int64_t kept, step;
  };
  for (const Row& row : {Row{"CQU-BPDD", 1200, 900, 100, 108, 12, 32, "0.3", 80, 23},
                         Row{"fMoW", 900, 900, 100, 81, 36, 23, "0.2", 72, 19},
                         Row{"DDR", 1200, 1200, 200, 36, 4, 16, "0.2", 30, 13},
                         Row{"MAMe", 1000, 1000, 100, 100, 30, 32, "0.2", 86, 26},
                         Row{"signs", 1600, 1200, 100, 192, 10, 32, "0.1", 174, 29},
                         Row{"CAMELYON16", 0, 0, 0, 70000, 1000, 500, "0.1", 63100, 450},
                         Row{"MNIST", 1500, 1500, 50, 900, 100, 100, "0", 900, 100}}) {
    if (row.patch > 0) {
      const DataOptions options = options_of(row.width, row.height, row.patch);
      EXPECT_EQ(make_grid(options, resized(options, {777, 555})).size(), row.n) << row.name;
    }
    EXPECT_EQ(kept_patches(row.r, row.n, row.m), row.kept) << row.name;
    EXPECT_EQ(scan_step(row.r, row.l), row.step) << row.name;
  }
}

// In doubles (1 - 0.7) * 100 is 30.000000000000004, whose ceil is 31.
TEST(Grid, KeptPatchesAreExactDecimals) {
  EXPECT_EQ(kept_patches("0.7", 110, 10), 40);
  EXPECT_EQ(kept_patches("0.70", 110, 10), 40);
  EXPECT_EQ(kept_patches("7e-1", 110, 10), 40);
  EXPECT_EQ(kept_patches(".9", 10, 0), 1);
  EXPECT_EQ(kept_patches("0.699999999999", 110, 10), 41);
  EXPECT_EQ(kept_patches("0.999999999999", 9'000'000, 0), 1);
  EXPECT_EQ(kept_patches("0.0", 7, 3), 7);
  EXPECT_EQ(scan_step("0.9", 32), 4);
  EXPECT_EQ(scan_step("0.99", 1), 1);
}

TEST(Grid, FewPatchesAreAllKept) {
  EXPECT_EQ(kept_patches("0.5", 3, 8), 3);
  EXPECT_EQ(kept_patches("0.5", 8, 8), 8);
  EXPECT_EQ(kept_patches("0.5", 9, 8), 9);
}

TEST(Grid, RatiosThatAreNone) {
  for (const char* text :
       {"", "1", "1.0", "-0.1", "abc", "0.5x", ".", "2e-1e", "1e1", "0.1234567890123"}) {
    EXPECT_THROW(kept_patches(text, 10, 1), ConfigError) << text;
  }
}

TEST(Grid, EdgesDropPadAndShift) {
  const Size picture{25, 10};
  EXPECT_THAT(make_grid(options_of(0, 0, 10), picture).x, ElementsAre(0, 10));
  EXPECT_THAT(make_grid(options_of(0, 0, 10, Edge::kPad), picture).x, ElementsAre(0, 10, 20));
  EXPECT_THAT(make_grid(options_of(0, 0, 10, Edge::kShift), picture).x, ElementsAre(0, 10, 15));
  EXPECT_THAT(make_grid(options_of(0, 0, 10, Edge::kPad), picture).y, ElementsAre(0));
  EXPECT_THAT(make_grid(options_of(0, 0, 10, Edge::kDrop, 5), picture).x,
              ElementsAre(0, 5, 10, 15));
  EXPECT_THAT(make_grid(options_of(0, 0, 10, Edge::kShift, 4), picture).x,
              ElementsAre(0, 4, 8, 12, 15));
}

TEST(Grid, APictureSmallerThanAPatchHasOne) {
  for (const Edge edge : {Edge::kDrop, Edge::kPad, Edge::kShift}) {
    const Grid grid = make_grid(options_of(0, 0, 10, edge), {7, 25});
    EXPECT_THAT(grid.x, ElementsAre(0));
    EXPECT_EQ(grid.rows, edge == Edge::kDrop ? 2 : 3);
  }
}

TEST(Grid, WholePicture) {
  const Grid grid = make_grid(options_of(0, 0, 0), {7, 25});
  EXPECT_EQ(grid.size(), 1);
  EXPECT_EQ(grid.patch_width, 7);
  EXPECT_EQ(grid.patch_height, 25);
}

TEST(Grid, Resizing) {
  DataOptions options = options_of(100, 60, 10);
  EXPECT_EQ(resized(options, {300, 200}).height, 60);
  options.resize = Resize::kLongest;
  EXPECT_EQ(resized(options, {300, 200}).width, 100);
  EXPECT_EQ(resized(options, {300, 200}).height, 67);
  EXPECT_EQ(resized(options, {2, 5000}).width, 1);
  options.resize = Resize::kScale;
  options.scale = 0.5;
  EXPECT_EQ(resized(options, {301, 200}).width, 151);
  options.resize = Resize::kNone;
  EXPECT_EQ(resized(options, {301, 200}).width, 301);
  options = options_of(0, 60, 10);
  EXPECT_THROW(resized(options, {300, 200}), ConfigError);
}

}  // namespace
}  // namespace dbps::data

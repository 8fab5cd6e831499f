#include "ingest/megapixel.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "image/codec.h"
#include "ingest/ingest.h"
#include "ingest/mnist_files.h"
#include "store/reader.h"
#include "support/temp_folder.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr DemoSplit kSplits[] = {DemoSplit::kTrain, DemoSplit::kValidation, DemoSplit::kTest};

MegapixelOptions small_options() {
  MegapixelOptions options;
  options.canvas = 300;
  options.train = 12;
  options.validation = 5;
  options.test = 3;
  return options;
}

bool apart(const Box& a, const Box& b) {
  return std::abs(a.x - b.x) >= 28 || std::abs(a.y - b.y) >= 28;
}

std::map<std::string, std::vector<uint8_t>> files_below(const fs::path& folder) {
  std::map<std::string, std::vector<uint8_t>> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
  }
  return files;
}

TEST(MegapixelPictures, HoldFiveDigitsThreeAlikeAndFiftyStrokesApart) {
  const DigitPools pools = demo_pools(0);
  for (const int canvas : {1500, 200}) {
    MegapixelOptions options;
    options.canvas = canvas;
    for (int64_t index = 0; index < 30; ++index) {
      const DemoSplit split = kSplits[index % 3];
      const MegapixelPicture picture = draw_megapixel_picture(options, pools, split, index);
      ASSERT_EQ(picture.digits.size(), 5u);
      ASSERT_EQ(picture.noise.size(), 50u);
      std::map<int, int> times;
      std::set<int64_t> rows;
      for (const MegapixelDigit& digit : picture.digits) {
        ++times[digit.label];
        rows.insert(digit.box.y);
        EXPECT_EQ(pools.digits.labels[static_cast<size_t>(digit.digit)], digit.label);
        const auto& pool = pools.of[static_cast<size_t>(split)][static_cast<size_t>(digit.label)];
        EXPECT_EQ(std::count(pool.begin(), pool.end(), digit.digit), 1);
        EXPECT_TRUE(0 <= digit.box.x && digit.box.x <= canvas - 28);
        EXPECT_TRUE(0 <= digit.box.y && digit.box.y <= canvas - 28);
        for (const Box& box : picture.noise) EXPECT_TRUE(apart(digit.box, box));
        for (const MegapixelDigit& other : picture.digits) {
          EXPECT_TRUE(&other == &digit || apart(digit.box, other.box));
        }
      }
      EXPECT_EQ(times[static_cast<int>(index % 10)], 3);
      EXPECT_EQ(rows.size(), 5u);
    }
  }
}

// Digits stand as they are, all else that is not black is a stroke in its box.
TEST(MegapixelPictures, ShowWhatWasPlaced) {
  const DigitPools pools = demo_pools(0);
  MegapixelOptions options;
  options.canvas = 400;
  MegapixelPicture picture = draw_megapixel_picture(options, pools, DemoSplit::kTrain, 4);
  ASSERT_EQ(picture.image.channels, 1);
  const auto clear = [&](const Box& box) {
    for (int64_t y = 0; y < 28; ++y) std::fill_n(picture.image.row(box.y + y) + box.x, 28, 0);
  };
  for (const MegapixelDigit& digit : picture.digits) {
    for (int64_t y = 0; y < 28; ++y) {
      const uint8_t* expected = pools.digits.digit(digit.digit) + y * 28;
      const uint8_t* shown = picture.image.row(digit.box.y + y) + digit.box.x;
      EXPECT_TRUE(std::equal(expected, expected + 28, shown));
    }
    clear(digit.box);
  }
  for (const Box& box : picture.noise) {
    int64_t bright = 0;
    for (int64_t y = 0; y < 28; ++y) {
      bright += std::count(picture.image.row(box.y + y) + box.x,
                           picture.image.row(box.y + y) + box.x + 28, 255);
    }
    EXPECT_GT(bright, 0);
  }
  for (const Box& box : picture.noise) clear(box);
  EXPECT_EQ(std::count(picture.image.pixels.begin(), picture.image.pixels.end(), 0), 400 * 400);
}

TEST(MegapixelPictures, EnlargeTheDemosDigits) {
  const DigitPools pools = demo_pools(3);
  ASSERT_EQ(pools.digits.size(), 1797);
  const uint8_t* zero = pools.digits.digit(0);  // a ring: ink at the top, paper in the middle
  EXPECT_EQ(zero[0], 0);
  EXPECT_GT(zero[1 * 28 + 12], 150);
  EXPECT_LT(zero[14 * 28 + 14], 60);
  for (int label = 0; label < 10; ++label) {
    for (const DemoSplit split : kSplits) {
      EXPECT_EQ(pools.of[static_cast<size_t>(split)][static_cast<size_t>(label)],
                demo_digits(3, label, split));
    }
  }
}

TEST(MegapixelLabels, AreWhatTheTasksAsk) {
  const std::vector<MegapixelDigit> digits = {
      {0, 3, {0, 90}}, {1, 3, {0, 50}}, {2, 8, {0, 40}}, {3, 3, {0, 200}}, {4, 1, {0, 41}}};
  const MegapixelLabels labels = megapixel_labels(digits);
  EXPECT_EQ(labels.majority, "3");
  EXPECT_EQ(labels.maximum, "8");
  EXPECT_EQ(labels.top, "8");
  EXPECT_EQ(labels.multi, "1;3;8");
  EXPECT_EQ(megapixel_labels({{0, 0, {0, 9}}, {0, 9, {9, 8}}, {0, 0, {0, 7}}}).top, "0");
}

TEST(MegapixelFolder, HasLabelsThatHoldAndIsTheSameOnAnyNumberOfThreads) {
  const TempFolder temp;
  const MegapixelOptions options = small_options();
  const DigitPools pools = demo_pools(options.seed);
  make_megapixel_pictures(options, pools, temp.path() / "one", 1);
  make_megapixel_pictures(options, pools, temp.path() / "three", 3);
  const auto files = files_below(temp.path() / "one");
  EXPECT_EQ(files, files_below(temp.path() / "three"));
  EXPECT_EQ(files.size(), 21u);

  const CsvTable table = read_csv(temp.path() / "one" / "labels.csv");
  EXPECT_THAT(table.columns,
              testing::ElementsAre("path", "majority", "maximum", "top", "multi", "split"));
  ASSERT_EQ(table.rows.size(), 20u);
  std::map<std::string, int64_t> next;
  for (const CsvRow& row : table.rows) {
    const std::string split = row.fields[5];
    const int64_t index = next[split]++;
    const DemoSplit which = split == "train"        ? DemoSplit::kTrain
                            : split == "validation" ? DemoSplit::kValidation
                                                    : DemoSplit::kTest;
    const MegapixelPicture picture = draw_megapixel_picture(options, pools, which, index);
    EXPECT_EQ(image::decode(files.at(row.fields[0]), "", {.channels = 1}).pixels,
              picture.image.pixels);
    EXPECT_EQ(image::probe(files.at(row.fields[0]), "").mode, image::Mode::kGrey);
    std::set<int> present;
    const MegapixelDigit* top = &picture.digits[0];
    for (const MegapixelDigit& digit : picture.digits) {
      present.insert(digit.label);
      if (digit.box.y < top->box.y) top = &digit;
    }
    std::string multi;
    for (const int label : present) {
      multi += fmt::format("{}{}", multi.empty() ? "" : ";", label);
    }
    EXPECT_EQ(row.fields[1], std::to_string(index % 10));
    EXPECT_EQ(row.fields[2], std::to_string(*present.rbegin()));
    EXPECT_EQ(row.fields[3], std::to_string(top->label));
    EXPECT_EQ(row.fields[4], multi);
  }
  EXPECT_EQ(next, (std::map<std::string, int64_t>{{"train", 12}, {"validation", 5}, {"test", 3}}));

  MegapixelOptions other = options;
  other.seed = 1;
  make_megapixel_pictures(other, demo_pools(1), temp.path() / "other", 2);
  EXPECT_NE(files, files_below(temp.path() / "other"));
}

TEST(MegapixelFolder, IsIngestedAsGrey) {
  const TempFolder temp;
  const MegapixelOptions options = small_options();
  make_megapixel_pictures(options, demo_pools(0), temp.path() / "pictures", 2);
  IngestOptions grey;
  grey.channels = 1;
  const Summary summary =
      ingest(find_sources(temp.path() / "pictures" / "labels.csv"), temp.path() / "store", grey);
  EXPECT_EQ(summary.kept, 20);
  const store::Reader reader(temp.path() / "store");
  EXPECT_EQ(reader.settings().channels, 1);
  EXPECT_EQ(reader.num_bags(), 20);
  const CsvTable labels = read_csv(temp.path() / "store" / "labels.csv");
  EXPECT_THAT(labels.columns,
              testing::ElementsAre("id", "majority", "maximum", "top", "multi", "split"));
  EXPECT_EQ(labels.rows[0].fields[0], "test/00000");
}

TEST(MegapixelMnist, SplitsWithoutSharing) {
  const TempFolder temp;
  std::vector<uint8_t> train, test;
  for (int i = 0; i < 120; ++i) train.push_back(static_cast<uint8_t>(i % 10));
  for (int i = 0; i < 30; ++i) test.push_back(static_cast<uint8_t>(i % 10));
  write_mnist_part(temp.path(), "train", train);
  write_mnist_part(temp.path(), "t10k", test, 120);
  const DigitPools pools = mnist_pools(temp.path(), 5);
  EXPECT_FALSE(is_mnist(pools));
  std::set<int64_t> seen;
  for (size_t label = 0; label < 10; ++label) {
    EXPECT_EQ(pools.of[0][label].size(), 10u);
    EXPECT_EQ(pools.of[1][label].size(), 2u);
    EXPECT_EQ(pools.of[2][label].size(), 3u);
    for (size_t split = 0; split < 3; ++split) {
      for (const int64_t digit : pools.of[split][label]) {
        EXPECT_TRUE(seen.insert(digit).second);
        EXPECT_EQ(pools.digits.labels[static_cast<size_t>(digit)], label);
        EXPECT_EQ(digit >= 120, split == 2);
        EXPECT_EQ(pools.digits.digit(digit)[100], mnist_grey(digit, 100));
      }
    }
  }
  EXPECT_EQ(seen.size(), 150u);
  EXPECT_NE(mnist_pools(temp.path(), 6).of[0], pools.of[0]);

  write_mnist_part(temp.path(), "t10k", {0, 1, 2, 3, 4, 5, 6, 7, 8}, 120);
  try {
    mnist_pools(temp.path(), 5);
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("too few digits of class 9: none is left for test"));
  }
}

TEST(MegapixelMnist, IsKnownByItsLabels) {
  constexpr int kTrain[] = {5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949};
  constexpr int kTest[] = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
  DigitPools pools;
  for (size_t c = 0; c < 10; ++c) {
    pools.of[0][c].resize(static_cast<size_t>(kTrain[c] - 1000));
    pools.of[1][c].resize(1000);
    pools.of[2][c].resize(static_cast<size_t>(kTest[c]));
  }
  EXPECT_TRUE(is_mnist(pools));
  pools.of[2][3].pop_back();
  EXPECT_FALSE(is_mnist(pools));
}

TEST(MegapixelOptions, ImpossibleOnesAreRefused) {
  MegapixelOptions options;
  check_megapixel_options(options);
  options.canvas = 199;
  EXPECT_THROW(check_megapixel_options(options), ConfigError);
  options = {};
  options.noise = -1;
  EXPECT_THROW(check_megapixel_options(options), ConfigError);
}

}  // namespace
}  // namespace dbps::ingest

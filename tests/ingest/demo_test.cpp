#include "ingest/demo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "image/codec.h"
#include "ingest/demo_digits.h"
#include "support/temp_folder.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

constexpr DemoSplit kSplits[] = {DemoSplit::kTrain, DemoSplit::kValidation, DemoSplit::kTest};

std::string refusal(const DemoOptions& options) {
  try {
    check_demo_options(options);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

// Relative path -> content.
std::map<std::string, std::vector<uint8_t>> tree(const fs::path& folder) {
  std::map<std::string, std::vector<uint8_t>> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) {
      files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
    }
  }
  return files;
}

TEST(DemoDigits, AreTheUciDigits) {
  ASSERT_EQ(num_digits(), 1797);
  const std::vector<int> per_class = {178, 182, 177, 183, 181, 182, 181, 179, 174, 180};
  for (int label = 0; label < 10; ++label) {
    EXPECT_EQ(digits_of(label).size(), static_cast<size_t>(per_class[label]));
  }
  const Digit zero = digit_at(0);  // the first record, as everybody knows it
  EXPECT_EQ(zero.label, 0);
  const std::vector<uint8_t> first_rows = {0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0};
  EXPECT_TRUE(std::equal(first_rows.begin(), first_rows.end(), zero.greys.begin()));
}

TEST(DemoDigits, NoDigitIsInTwoSplits) {
  for (int label = 0; label < 10; ++label) {
    std::vector<int64_t> all;
    for (const DemoSplit split : kSplits) {
      const std::vector<int64_t> digits = demo_digits(3, label, split);
      const double share = split == DemoSplit::kTrain ? 0.6 : 0.2;
      const double size = static_cast<double>(digits_of(label).size());
      EXPECT_NEAR(static_cast<double>(digits.size()), share * size, 1.0);
      all.insert(all.end(), digits.begin(), digits.end());
    }
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, digits_of(label));
  }
  EXPECT_NE(demo_digits(3, 0, DemoSplit::kTrain), demo_digits(4, 0, DemoSplit::kTrain));
}

TEST(DemoPictures, LabelLeadsAsTheRuleSays) {
  const DemoOptions options;
  std::set<size_t> numbers_of_digits;
  std::map<std::string, int> labels;
  for (int64_t index = 0; index < 120; ++index) {
    const DemoSplit split = kSplits[index % 3];
    const DemoPicture picture = draw_demo_picture(options, split, index);
    std::map<std::string, int> counts;
    std::set<int64_t> cells;
    for (const PlacedDigit& placed : picture.digits) {
      const int label = digit_at(placed.digit).label;
      const std::vector<int64_t> pool = demo_digits(options.seed, label, split);
      EXPECT_TRUE(std::count(pool.begin(), pool.end(), placed.digit) == 1);
      ++counts[std::to_string(label)];
      cells.insert(placed.cell);
    }
    const int digits = static_cast<int>(picture.digits.size());
    EXPECT_TRUE(4 <= digits && digits <= 12);
    EXPECT_EQ(cells.size(), picture.digits.size());
    const int leading = (digits + 2) / 3 + 1;
    EXPECT_EQ(counts.at(picture.label), leading);
    for (const auto& [label, count] : counts) {
      EXPECT_THAT((std::vector<std::string>{"0", "1", "2", "4", "7"}), testing::Contains(label));
      EXPECT_LE(count, label == picture.label ? leading : leading - 2);
    }
    numbers_of_digits.insert(picture.digits.size());
    ++labels[picture.label];
  }
  EXPECT_EQ(numbers_of_digits.size(), 9u);
  EXPECT_EQ(labels.size(), 5u);
  for (const auto& [label, count] : labels) EXPECT_EQ(count, 24) << label;
}

TEST(DemoPictures, LoneHasOneDigitAmongTheStrokesOfMost) {
  const DemoOptions most;
  DemoOptions lone;
  lone.question = DemoQuestion::kLone;
  std::map<std::string, int> labels;
  for (int64_t index = 0; index < 30; ++index) {
    const DemoSplit split = kSplits[index % 3];
    const DemoPicture picture = draw_demo_picture(lone, split, index);
    ASSERT_EQ(picture.digits.size(), 1u);
    const PlacedDigit placed = picture.digits[0];
    const int label = digit_at(placed.digit).label;
    EXPECT_EQ(std::to_string(label), picture.label);
    const std::vector<int64_t> pool = demo_digits(lone.seed, label, split);
    EXPECT_EQ(std::count(pool.begin(), pool.end(), placed.digit), 1);
    ++labels[picture.label];

    // Away from both pictures' digits they are equal: paper and strokes are the same.
    const DemoPicture other = draw_demo_picture(most, split, index);
    EXPECT_EQ(other.label, picture.label);
    std::set<int64_t> cells = {placed.cell};
    for (const PlacedDigit& digit : other.digits) cells.insert(digit.cell);
    const auto near_a_digit = [&](int64_t x, int64_t y) {
      return std::any_of(cells.begin(), cells.end(), [&](int64_t cell) {
        return std::abs(x - (cell % 8 * 32 + 16)) < 28 && std::abs(y - (cell / 8 * 32 + 16)) < 28;
      });
    };
    int64_t differing = 0;
    for (int64_t i = 0; i < 256 * 256; ++i) {
      const auto at = static_cast<std::ptrdiff_t>(3 * i);
      const bool equal =
          std::equal(picture.image.pixels.begin() + at, picture.image.pixels.begin() + at + 3,
                     other.image.pixels.begin() + at);
      if (!equal && !near_a_digit(i % 256, i / 256)) ++differing;
    }
    EXPECT_EQ(differing, 0);
    EXPECT_NE(picture.image.pixels, other.image.pixels);
  }
  EXPECT_EQ(labels, (std::map<std::string, int>{{"0", 6}, {"1", 6}, {"2", 6}, {"4", 6}, {"7", 6}}));
}

// What a seed means must not change: figures that were written down rest on it.
TEST(DemoPictures, AreTheOnesEverybodyHas) {
  std::vector<int64_t> placed;
  for (const PlacedDigit& digit : draw_demo_picture({}, DemoSplit::kTrain, 0).digits) {
    placed.insert(placed.end(), {digit.digit, digit.cell});
  }
  EXPECT_THAT(placed, testing::ElementsAre(185, 37, 1193, 3, 1677, 26, 926, 41, 241, 5, 998, 6));
}

// A digit is brighter than the dark paper where its greys are, and lies in its cell.
TEST(DemoPictures, DigitsStandInTheirCells) {
  DemoOptions options;
  options.distractors_min = options.distractors_max = 0;
  options.paper_value = {0.1, 0.1};
  const DemoPicture picture = draw_demo_picture(options, DemoSplit::kTrain, 0);
  std::set<int64_t> bright;
  for (int64_t y = 0; y < 256; ++y) {
    for (int64_t x = 0; x < 256; ++x) {
      const uint8_t* pixel = picture.image.row(y) + 3 * x;
      const int64_t inside_x = x % 32, inside_y = y % 32;
      const bool middle = inside_x > 4 && inside_x < 27 && inside_y > 4 && inside_y < 27;
      if (middle && std::max({pixel[0], pixel[1], pixel[2]}) > 150) {
        bright.insert(y / 32 * 8 + x / 32);
      }
    }
  }
  std::set<int64_t> cells;
  for (const PlacedDigit& placed : picture.digits) cells.insert(placed.cell);
  EXPECT_EQ(bright, cells);
}

TEST(DemoPictures, AlikeHasDigitsOfOneClassAlone) {
  const DemoOptions most;
  DemoOptions alike;
  alike.question = DemoQuestion::kAlike;
  for (int64_t index = 0; index < 30; ++index) {
    const DemoSplit split = kSplits[index % 3];
    const DemoPicture picture = draw_demo_picture(alike, split, index);
    EXPECT_EQ(picture.digits.size(), draw_demo_picture(most, split, index).digits.size());
    for (const PlacedDigit& placed : picture.digits) {
      EXPECT_EQ(std::to_string(digit_at(placed.digit).label), picture.label);
    }
  }
}

TEST(DemoPictures, DependOnSeedSplitAndIndexAlone) {
  DemoOptions options;
  const auto pixels = [&](DemoSplit split, int64_t index) {
    return draw_demo_picture(options, split, index).image.pixels;
  };
  const std::vector<uint8_t> first = pixels(DemoSplit::kTrain, 5);
  EXPECT_EQ(pixels(DemoSplit::kTrain, 5), first);
  EXPECT_NE(pixels(DemoSplit::kTrain, 10), first);
  EXPECT_NE(pixels(DemoSplit::kTest, 5), first);
  options.seed = 1;
  EXPECT_NE(pixels(DemoSplit::kTrain, 5), first);
}

TEST(DemoPictures, TreeIsTheSameOnAnyNumberOfThreads) {
  const TempFolder temp;
  DemoOptions options;
  options.train = 12;
  options.validation = 5;
  options.test = 0;
  std::vector<int64_t> progress;
  make_demo_pictures(options, temp.path() / "one", 1, [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 17);
    progress.push_back(done);
  });
  make_demo_pictures(options, temp.path() / "three", 3);
  std::vector<int64_t> expected(17);
  std::iota(expected.begin(), expected.end(), 1);
  EXPECT_EQ(progress, expected);

  const auto files = tree(temp.path() / "one");
  EXPECT_EQ(files, tree(temp.path() / "three"));
  ASSERT_EQ(files.size(), 17u);
  EXPECT_TRUE(files.contains("train/7/00004.png"));
  EXPECT_TRUE(files.contains("val/0/00000.png"));
  EXPECT_FALSE(fs::exists(temp.path() / "one" / "test"));
  size_t bytes = 0;
  for (const auto& [name, content] : files) bytes += content.size();
  EXPECT_GT(bytes / files.size(), 24000u);  // demo.md: 32 kB a picture
  EXPECT_LT(bytes / files.size(), 40000u);
  const image::Image read = image::decode(files.at("train/7/00004.png"), "");
  EXPECT_EQ(read.pixels, draw_demo_picture(options, DemoSplit::kTrain, 4).image.pixels);
}

TEST(DemoPictures, AFolderIsWholeOrAbsent) {
  const TempFolder temp;
  DemoOptions options;
  options.train = options.validation = options.test = 2;
  const fs::path folder = temp.path() / "pictures";
  fs::create_directories(temp.path() / "pictures.making" / "train" / "0");
  std::ofstream(temp.path() / "pictures.making" / "train" / "0" / "99999.png") << "half";
  make_demo_pictures(options, folder, 1);
  EXPECT_EQ(tree(folder).size(), 6u);
  EXPECT_FALSE(fs::exists(temp.path() / "pictures.making"));
  EXPECT_THROW(make_demo_pictures(options, folder, 1), ConfigError);
  EXPECT_EQ(tree(folder).size(), 6u);

  const auto interrupt = [](int64_t done, int64_t) {
    if (done == 3) throw RuntimeFault("the disk is full");
  };
  EXPECT_THROW(make_demo_pictures(options, temp.path() / "other", 2, interrupt), RuntimeFault);
  EXPECT_FALSE(fs::exists(temp.path() / "other"));
  EXPECT_FALSE(fs::exists(temp.path() / "other.making"));
}

TEST(DemoPatches, HoldSevenClassesOfTheOtherDigits) {
  const DemoOptions options;
  std::map<std::string, int> labels;
  for (int64_t index = 0; index < 70; ++index) {
    const DemoPicture patch = draw_demo_patch(options, DemoSplit::kValidation, index);
    ++labels[patch.label];
    ASSERT_EQ(patch.image.width, 32);
    const auto [darkest, brightest] =
        std::minmax_element(patch.image.pixels.begin(), patch.image.pixels.end());
    if (patch.label == "nothing") {
      EXPECT_LT(*brightest, 110);
    } else {
      EXPECT_GT(*brightest, 150) << patch.label;
    }
    const bool is_digit = patch.label.size() == 1;
    ASSERT_EQ(patch.digits.size(), is_digit ? 1u : 0u);
    if (is_digit) {
      EXPECT_EQ(std::to_string(digit_at(patch.digits[0].digit).label), patch.label);
    }
  }
  const std::map<std::string, int> expected = {{"3", 10}, {"5", 10},      {"6", 10},      {"8", 10},
                                               {"9", 10}, {"stroke", 10}, {"nothing", 10}};
  EXPECT_EQ(labels, expected);

  const TempFolder temp;
  DemoOptions few;
  few.patch_train = 14;
  few.patch_validation = few.patch_test = 7;
  make_demo_patches(few, temp.path() / "patches", 2);
  const auto files = tree(temp.path() / "patches");
  EXPECT_EQ(files.size(), 28u);
  EXPECT_TRUE(files.contains("test/nothing/00006.png"));
}

TEST(DemoOptions, ImpossibleOnesAreRefused) {
  EXPECT_EQ(refusal({}), "");
  DemoOptions options;
  options.distractors_max = 53;
  EXPECT_THAT(refusal(options), testing::HasSubstr("do not fit into 64 cells"));
  options.canvas = 512;
  EXPECT_EQ(refusal(options), "");
  options.canvas = 250;
  EXPECT_THAT(refusal(options), testing::HasSubstr("canvas"));
  options = {};
  options.classes = {0, 1};
  EXPECT_THAT(refusal(options), testing::HasSubstr("more classes"));
  options.classes = {0, 1, 2, 4, 4};
  EXPECT_THAT(refusal(options), testing::HasSubstr("twice"));
  options.classes = {0, 1, 2, 4, 10};
  EXPECT_THAT(refusal(options), testing::HasSubstr("0 to 9"));
  options = {};
  options.digits_min = 3;  // two of one class, and a third digit that may be of no other
  EXPECT_THAT(refusal(options), testing::HasSubstr("with 3 digits"));
  options.question = DemoQuestion::kLone;  // where nothing has to lead
  options.classes = {0, 1};
  options.distractors_max = 63;
  EXPECT_EQ(refusal(options), "");
  options.distractors_max = 64;
  EXPECT_THAT(refusal(options), testing::HasSubstr("1 digits and 64 distractors do not fit"));
  options = {};
  options.digits_min = 13;
  EXPECT_NE(refusal(options), "");
  options = {};
  options.digit_side = {28, 22};
  EXPECT_THAT(refusal(options), testing::HasSubstr("side"));
  options = {};
  options.validation = -1;
  EXPECT_NE(refusal(options), "");
}

}  // namespace
}  // namespace dbps::ingest

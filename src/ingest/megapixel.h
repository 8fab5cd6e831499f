// Megapixel MNIST: large black pictures in which a few digits and many noise strokes lie.
//
// After Katharopoulos & Fleuret (2019) and IPS (Bergner et al., 2023): 1500 x 1500 grey pixels,
// five digits of 28 x 28, three of them of one class and the other two of any other classes, and 50
// noise strokes of at most that size. No digit overlaps another or a stroke. Four tasks are asked
// of each picture: which class appears three times, which is the largest, which is the top-most,
// and which are there. Digits are split first: none is in two splits.
//
// All randomness is owned by (seed, split, index): neither threads nor order change a picture.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "image/image.h"
#include "ingest/demo.h"
#include "ingest/idx.h"
#include "ingest/made_folder.h"

namespace dbps::ingest {

struct MegapixelOptions {
  uint64_t seed = 0;
  int canvas = 1500;  // side of a picture, pixels; at least 200, so that all finds a place
  int train = 5000;   // pictures a split
  int validation = 1000;
  int test = 1000;
  int noise = 50;  // strokes a picture
};

// Which digits pictures are made of.
struct DigitPools {
  DigitSet digits;
  std::array<std::array<std::vector<int64_t>, 10>, 3> of;  // [split][class]: indices of digits
};

// The digits of datasets/demo, enlarged from 8 x 8; split as demo_digits() does.
DigitPools demo_pools(uint64_t seed);
// MNIST in `folder` (read_mnist): t10k is the test split, a sixth of each class of train validates.
// Throws as read_mnist does, and DataError where a split would have no digit of some class.
DigitPools mnist_pools(const std::filesystem::path& folder, uint64_t seed);
// Whether the pools' labels are distributed as MNIST's 60,000 + 10,000 are: another data set with
// files of the same names is not.
bool is_mnist(const DigitPools& pools);

struct Box {
  int64_t x;  // of the upper left corner, pixels; kMnistSide wide and high
  int64_t y;
};

struct MegapixelDigit {
  int64_t digit;  // in the pools' digits
  int label;
  Box box;
};

struct MegapixelPicture {
  image::Image image;  // grey
  std::vector<MegapixelDigit> digits;
  std::vector<Box> noise;
};

// As labels.csv has them. `top` is the class of the digit whose box begins first; no two begin in
// one row. `multi` lists classes in ascending order: "0;3;7".
struct MegapixelLabels {
  std::string majority, maximum, top, multi;
};
MegapixelLabels megapixel_labels(const std::vector<MegapixelDigit>& digits);

// Throws ConfigError for options that cannot be drawn.
void check_megapixel_options(const MegapixelOptions& options);

// Picture `index` >= 0 of a split; the options have been checked. Majority classes take turns. Any
// thread.
MegapixelPicture draw_megapixel_picture(const MegapixelOptions& options, const DigitPools& pools,
                                        DemoSplit split, int64_t index);

// Writes folder/{train,validation,test}/<index>.png, and folder/labels.csv with the columns path,
// majority, maximum, top, multi, split. Throws as make_folder_of_pictures does, and ConfigError for
// impossible options.
void make_megapixel_pictures(const MegapixelOptions& options, const DigitPools& pools,
                             const std::filesystem::path& folder, int jobs,
                             const MakingProgress& progress = {});

}  // namespace dbps::ingest

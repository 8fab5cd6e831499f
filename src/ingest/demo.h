// The demo data: pictures that ask for a digit class, and single patches to train an encoder on
// beforehand.
//
// A picture holds digits and many distractor strokes, each in a cell of its own. What it asks:
//   most  which class occurs most? With K digits the label's class appears ceil(K/3) + 1 times and
//         every other at most that less 2, so that reading the label takes most digits of the
//         picture.
//   lone  which class is the only digit of? One patch decides. Paper and strokes are those of the
//         picture of `most` with the same options, split and index.
//   alike which class are all digits of? Any one of them decides.
// Handwritten digits come from datasets/demo; they are split 60/20/20 within each class first, so
// no digit is in two splits.
//
// All randomness is owned by (seed, split, index): neither threads nor order change a picture.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "image/image.h"
#include "ingest/made_folder.h"

namespace dbps::ingest {

struct DemoRange {
  double low;
  double high;
};

enum class DemoQuestion { kMost, kLone, kAlike };

struct DemoOptions {
  uint64_t seed = 0;
  DemoQuestion question = DemoQuestion::kMost;

  // Pictures.
  int canvas = 256;  // side of a picture, pixels; a multiple of patch
  int patch = 32;    // side of a cell, pixels
  int train = 1000;  // pictures a split
  int validation = 400;
  int test = 400;
  std::vector<int> classes = {0, 1, 2, 4, 7};
  int digits_min = 4;  // digits a picture of `most`, uniform
  int digits_max = 12;
  int distractors_min = 40;  // cells with strokes a picture, uniform
  int distractors_max = 48;

  // Single patches: the classes of patch_classes, "stroke" and "nothing".
  int patch_train = 12000;
  int patch_validation = 1400;
  int patch_test = 1400;
  std::vector<int> patch_classes = {3, 5, 6, 8, 9};

  // How things look. Lengths in pixels, angles in radians, colours in HSV of 0 .. 1.
  double jitter = 3;                // centre = its cell's centre +- jitter, both ways
  DemoRange digit_side = {22, 28};  // of the 8x8 greys, enlarged
  DemoRange digit_rotation = {-0.15, 0.15};
  DemoRange digit_slant = {-0.2, 0.2};  // shift to the right a pixel upwards
  double stroke_reach = 11;             // control points within +- this of the centre
  DemoRange stroke_radius = {1, 2};
  DemoRange ink_saturation = {0, 0.6};  // of digits and strokes; any hue
  DemoRange ink_value = {0.75, 1};
  DemoRange paper_saturation = {0.1, 0.5};  // of the background; any hue
  DemoRange paper_value = {0.1, 0.35};
  double paper_gradient = 0.15;  // change of brightness from corner to corner, at most, relative
};

enum class DemoSplit { kTrain = 0, kValidation = 1, kTest = 2 };

struct PlacedDigit {
  int64_t digit;  // in datasets/demo/digits.bin
  int64_t cell;   // row-major
};

struct DemoPicture {
  image::Image image;  // RGB
  std::string label;
  std::vector<PlacedDigit> digits;
};

// Throws ConfigError, with what to change, for options that cannot be drawn.
void check_demo_options(const DemoOptions& options);

// The digits (indices, shuffled) of a class that a split may use.
std::vector<int64_t> demo_digits(uint64_t seed, int label, DemoSplit split);

// Picture `index` >= 0 of a split; the options have been checked. Labels take turns. Any thread.
DemoPicture draw_demo_picture(const DemoOptions& options, DemoSplit split, int64_t index);

// One patch x patch picture; as above.
DemoPicture draw_demo_patch(const DemoOptions& options, DemoSplit split, int64_t index);

// Write folder/{train,val,test}/<label>/<index>.png on `jobs` threads: whole, or no folder at all.
// A split of 0 pictures has no folder. Throw ConfigError for impossible options and where the
// folder holds something already, RuntimeFault where it cannot be written.
void make_demo_pictures(const DemoOptions& options, const std::filesystem::path& folder, int jobs,
                        const MakingProgress& progress = {});
void make_demo_patches(const DemoOptions& options, const std::filesystem::path& folder, int jobs,
                       const MakingProgress& progress = {});

}  // namespace dbps::ingest

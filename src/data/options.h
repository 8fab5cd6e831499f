// What feeds the training: the tables [data], [augment] and [drop].
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace dbps::data {

enum class Resize { kExact, kLongest, kScale, kNone };
enum class Edge { kDrop, kPad, kShift };
enum class Sampling { kNatural, kBalanced };
enum class StorePlacement { kShared, kStaged };
enum class JitterPer { kBag, kPatch };
enum class Flip { kNone, kHorizontal, kBoth };
enum class Erase { kNone, kRandom, kPatches };

struct DataOptions {
  std::vector<std::string> store;  // folders
  std::string labels;              // CSV; "": the store's labels.csv
  std::string split;  // CSV with id and split, or CLAM's; "": the labels' column, else a fraction
  int64_t fold = 0;
  double fraction_validation = 0.1;
  int64_t split_seed = 0;
  int64_t height = 0;  // pixels after resizing, for kExact
  int64_t width = 0;   // for kLongest: the longest side is max(height, width)
  Resize resize = Resize::kExact;
  double scale = 1.0;        // for kScale
  int64_t patch_size = 0;    // pixels; 0 with selection.method "whole": the whole picture
  int64_t patch_stride = 0;  // pixels; 0: patch_size
  Edge edge = Edge::kDrop;
  std::vector<double> mean;  // a channel; empty: the encoder's
  std::vector<double> std;
  bool shuffle = true;
  Sampling sampling = Sampling::kNatural;
  int64_t decode_threads = 0;  // 0: auto
  int64_t prefetch_batches = 2;
  int64_t host_bytes = 0;       // 0: a quarter of memory / local ranks
  int64_t device_bytes = 0;     // 0: auto
  double picture_pixels = 1e9;  // larger pictures are refused
  bool fast_decode = false;  // a JPEG is decoded at 1/2, 1/4 or 1/8 where resizing shrinks it more
  StorePlacement placement = StorePlacement::kShared;
  std::string stage_dir;    // a folder of each node's own, for kStaged
  int64_t stage_homes = 0;  // parts that lie apart; 0: one a node (or the nodes of a
                            // patch group) for kStaged, else one
};

struct AugmentOptions {
  double brightness = 0.1;
  double contrast = 0.1;
  double saturation = 0.1;
  double hue = 0.1;
  JitterPer jitter_per = JitterPer::kBag;
  int64_t translate = 100;  // pixels an axis
  Flip flip = Flip::kNone;
  bool rotate90 = false;
  Erase erase = Erase::kNone;
};

struct DropOptions {
  std::string ratio =
      "0";  // r, as the decimal that was written: ceil() must not see 0.7 as 0.69999...
  double erase_ratio =
      0.0;  // share of a picture, or of its patches, that AugmentOptions::erase zeroes
};

}  // namespace dbps::data

#include "ingest/demo.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "ingest/demo_digits.h"
#include "ingest/demo_paint.h"

namespace dbps::ingest {
namespace {

// Streams of Purpose::kDemo, beside those of megapixel.cpp; part of what a seed means.
constexpr uint64_t kPictureStream = 0;      // + split
constexpr uint64_t kPatchStream = 8;        // + split
constexpr uint64_t kDigitSplitStream = 16;  // sample: the class

RandomStream open_stream(const DemoOptions& options, uint64_t base, DemoSplit split,
                         int64_t index) {
  return RandomStream(options.seed, Purpose::kDemo, base + static_cast<uint64_t>(split),
                      static_cast<uint64_t>(index));
}

int between(RandomStream& random, int low, int high) {
  return low + static_cast<int>(random.below(high - low + 1));
}

double within(RandomStream& random, DemoRange range) {
  return random.uniform(range.low, range.high);
}

Ink draw_ink(RandomStream& random, DemoRange saturation, DemoRange value) {
  const double hue = random.uniform();
  const double s = within(random, saturation);
  return hsv(hue, s, within(random, value));
}

Point draw_offset(RandomStream& random, double reach) {
  const double x = random.uniform(-reach, reach);
  return {x, random.uniform(-reach, reach)};
}

int times_of_label(int digits) { return (digits + 2) / 3 + 1; }
int times_of_others(int digits) { return times_of_label(digits) - 2; }

// How often each class appears in a picture of `most`: the label's as the rule says, the rest
// shared out by chance.
std::vector<int> draw_counts(RandomStream& random, int digits, size_t num_classes, size_t label) {
  std::vector<int> counts(num_classes, 0);
  counts[label] = times_of_label(digits);
  for (int rest = digits - counts[label]; rest > 0; --rest) {
    std::vector<size_t> open;
    for (size_t c = 0; c < num_classes; ++c) {
      if (c != label && counts[c] < times_of_others(digits)) open.push_back(c);
    }
    ++counts[open[static_cast<size_t>(random.below(static_cast<int64_t>(open.size())))]];
  }
  return counts;
}

void draw_paper(RandomStream& random, const DemoOptions& options, image::Image& picture) {
  const Ink ink = draw_ink(random, options.paper_saturation, options.paper_value);
  paint_paper(picture, ink, draw_offset(random, options.paper_gradient / 4));
}

void draw_strokes(RandomStream& random, const DemoOptions& options, Point centre,
                  image::Image& picture) {
  const Ink ink = draw_ink(random, options.ink_saturation, options.ink_value);
  for (int strokes = between(random, 1, 2); strokes > 0; --strokes) {
    std::array<Point, 3> controls;
    for (Point& control : controls) {
      const Point offset = draw_offset(random, options.stroke_reach);
      control = {centre.x + offset.x, centre.y + offset.y};
    }
    paint_stroke(picture, controls, within(random, options.stroke_radius), ink);
  }
}

// Returns which digit it was.
int64_t draw_digit(RandomStream& random, const DemoOptions& options, DemoSplit split, int label,
                   Point centre, image::Image& picture) {
  const std::vector<int64_t> pool = demo_digits(options.seed, label, split);
  const int64_t digit = pool[static_cast<size_t>(random.below(static_cast<int64_t>(pool.size())))];
  DigitPose pose;
  pose.centre = centre;
  pose.side = within(random, options.digit_side);
  pose.rotation = within(random, options.digit_rotation);
  pose.slant = within(random, options.digit_slant);
  const Ink ink = draw_ink(random, options.ink_saturation, options.ink_value);
  paint_digit(picture, digit_at(digit), pose, ink);
  return digit;
}

Point draw_centre(RandomStream& random, const DemoOptions& options, int64_t cell, int64_t columns) {
  const Point offset = draw_offset(random, options.jitter);
  return {(static_cast<double>(cell % columns) + 0.5) * options.patch + offset.x,
          (static_cast<double>(cell / columns) + 0.5) * options.patch + offset.y};
}

void require(bool condition, const std::string& message) {
  if (!condition) throw ConfigError("make-demo: " + message);
}

void check_classes(const std::vector<int>& classes) {
  require(classes.size() >= 2, "at least two digit classes are needed");
  std::vector<int> sorted = classes;
  std::sort(sorted.begin(), sorted.end());
  require(sorted.front() >= 0 && sorted.back() <= 9, "digit classes are 0 to 9");
  require(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(),
          "a digit class is named twice");
}

void check_range(const char* what, DemoRange range, double low, double high) {
  require(low <= range.low && range.low <= range.high && range.high <= high,
          fmt::format("{} must be a range within {} to {}", what, low, high));
}

void check_look(const DemoOptions& options) {
  require(options.jitter >= 0 && options.jitter <= options.patch / 2.0,
          "jitter must lie between 0 and half a patch");
  check_range("the side of a digit", options.digit_side, 1, options.patch);
  check_range("a digit's rotation", options.digit_rotation, -3.2, 3.2);
  check_range("a digit's slant", options.digit_slant, -1, 1);
  require(options.stroke_reach >= 0 && options.stroke_reach <= options.patch / 2.0,
          "the reach of strokes must lie between 0 and half a patch");
  check_range("the radius of strokes", options.stroke_radius, 0.1, options.patch / 2.0);
  for (const DemoRange& range :
       {options.ink_saturation, options.ink_value, options.paper_saturation, options.paper_value}) {
    check_range("a colour", range, 0, 1);
  }
  require(options.paper_gradient >= 0 && options.paper_gradient <= 1,
          "the gradient of the background must lie between 0 and 1");
}

using Draw = DemoPicture (*)(const DemoOptions&, DemoSplit, int64_t);

void make_tree(const DemoOptions& options, const std::array<int, 3>& counts, Draw draw,
               const std::filesystem::path& folder, int jobs, const MakingProgress& progress) {
  check_demo_options(options);
  constexpr std::array<const char*, 3> kFolders = {"train", "val", "test"};
  const auto make = [&](int64_t item) {
    size_t split = 0;
    int64_t index = item;
    while (index >= counts[split]) index -= counts[split++];
    DemoPicture picture = draw(options, static_cast<DemoSplit>(split), index);
    return MadePicture{
        std::filesystem::path(kFolders[split]) / picture.label / fmt::format("{:05}.png", index),
        std::move(picture.image)};
  };
  make_folder_of_pictures(folder, int64_t{counts[0]} + counts[1] + counts[2], jobs, make, progress);
}

}  // namespace

void check_demo_options(const DemoOptions& options) {
  require(
      options.patch >= 8 && options.canvas >= options.patch && options.canvas % options.patch == 0,
      fmt::format("a canvas of {} pixels is no whole number of patches of {} (at least 8)",
                  options.canvas, options.patch));
  require(options.canvas <= 65536, "the canvas may have 65536 pixels a side");
  for (const int count : {options.train, options.validation, options.test, options.patch_train,
                          options.patch_validation, options.patch_test}) {
    require(count >= 0, "the number of pictures cannot be negative");
  }
  check_classes(options.classes);
  check_classes(options.patch_classes);
  require(1 <= options.digits_min && options.digits_min <= options.digits_max,
          "the number of digits must be a range from 1 upwards");
  require(0 <= options.distractors_min && options.distractors_min <= options.distractors_max,
          "the number of distractors must be a range from 0 upwards");
  const int64_t side = options.canvas / options.patch;
  const bool lone = options.question == DemoQuestion::kLone;
  const int digits_max = lone ? 1 : options.digits_max;
  require(int64_t{digits_max} + options.distractors_max <= side * side,
          fmt::format("{} digits and {} distractors do not fit into {} cells; take fewer or a "
                      "larger canvas",
                      digits_max, options.distractors_max, side * side));
  check_look(options);
  if (options.question != DemoQuestion::kMost) return;
  const int others = static_cast<int>(options.classes.size()) - 1;
  for (int digits = options.digits_min; digits <= options.digits_max; ++digits) {
    const int rest = digits - times_of_label(digits);
    require(0 <= rest && rest <= others * times_of_others(digits),
            fmt::format("with {} digits of {} classes no class can lead clearly; take other "
                        "numbers of digits, or more classes",
                        digits, others + 1));
  }
}

std::vector<int64_t> demo_digits(uint64_t seed, int label, DemoSplit split) {
  std::vector<int64_t> digits = digits_of(label);
  RandomStream(seed, Purpose::kDemo, kDigitSplitStream, static_cast<uint64_t>(label))
      .shuffle(digits);
  const size_t train_end = digits.size() * 60 / 100;
  const size_t validation_end = digits.size() * 80 / 100;
  const std::array<size_t, 4> bounds = {0, train_end, validation_end, digits.size()};
  const size_t which = static_cast<size_t>(split);
  return {digits.begin() + static_cast<std::ptrdiff_t>(bounds[which]),
          digits.begin() + static_cast<std::ptrdiff_t>(bounds[which + 1])};
}

DemoPicture draw_demo_picture(const DemoOptions& options, DemoSplit split, int64_t index) {
  RandomStream random = open_stream(options, kPictureStream, split, index);
  const size_t label = static_cast<size_t>(index) % options.classes.size();
  const int num_digits = between(random, options.digits_min, options.digits_max);
  const int num_distractors = between(random, options.distractors_min, options.distractors_max);
  const int64_t columns = options.canvas / options.patch;
  const std::vector<int64_t> cells = random.permutation(columns * columns);

  DemoPicture picture;
  picture.label = fmt::to_string(options.classes[label]);
  picture.image = image::Image(options.canvas, options.canvas, 3);
  draw_paper(random, options, picture.image);
  size_t next_cell = 0;
  for (int i = 0; i < num_distractors; ++i) {
    const Point centre = draw_centre(random, options, cells[next_cell++], columns);
    draw_strokes(random, options, centre, picture.image);
  }
  // Digits come last: what reaches over from a neighbouring cell must not cross them out.
  std::vector<int> counts(options.classes.size(), 0);
  if (options.question == DemoQuestion::kLone) {
    counts[label] = 1;
  } else if (options.question == DemoQuestion::kAlike) {
    counts[label] = num_digits;
  } else {
    counts = draw_counts(random, num_digits, counts.size(), label);
  }
  for (size_t c = 0; c < counts.size(); ++c) {
    for (int i = 0; i < counts[c]; ++i) {
      const int64_t cell = cells[next_cell++];
      const Point centre = draw_centre(random, options, cell, columns);
      const int64_t digit =
          draw_digit(random, options, split, options.classes[c], centre, picture.image);
      picture.digits.push_back({digit, cell});
    }
  }
  return picture;
}

DemoPicture draw_demo_patch(const DemoOptions& options, DemoSplit split, int64_t index) {
  RandomStream random = open_stream(options, kPatchStream, split, index);
  const size_t num_digit_classes = options.patch_classes.size();
  const size_t kind = static_cast<size_t>(index) % (num_digit_classes + 2);

  DemoPicture picture;
  picture.image = image::Image(options.patch, options.patch, 3);
  draw_paper(random, options, picture.image);
  const Point centre = draw_centre(random, options, 0, 1);
  if (kind < num_digit_classes) {
    const int label = options.patch_classes[kind];
    picture.label = fmt::to_string(label);
    picture.digits.push_back({draw_digit(random, options, split, label, centre, picture.image), 0});
  } else if (kind == num_digit_classes) {
    picture.label = "stroke";
    draw_strokes(random, options, centre, picture.image);
  } else {
    picture.label = "nothing";
  }
  return picture;
}

void make_demo_pictures(const DemoOptions& options, const std::filesystem::path& folder, int jobs,
                        const MakingProgress& progress) {
  make_tree(options, {options.train, options.validation, options.test}, draw_demo_picture, folder,
            jobs, progress);
}

void make_demo_patches(const DemoOptions& options, const std::filesystem::path& folder, int jobs,
                       const MakingProgress& progress) {
  make_tree(options, {options.patch_train, options.patch_validation, options.patch_test},
            draw_demo_patch, folder, jobs, progress);
}

}  // namespace dbps::ingest

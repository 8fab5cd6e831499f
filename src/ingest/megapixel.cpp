#include "ingest/megapixel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numbers>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "image/resize.h"
#include "ingest/demo_digits.h"
#include "ingest/demo_paint.h"

namespace dbps::ingest {
namespace {

// Streams of Purpose::kDemo, beside those of demo.cpp; part of what a seed means.
constexpr uint64_t kMegapixelStream = 24;       // + split
constexpr uint64_t kMegapixelSplitStream = 32;  // sample: the class

constexpr int kDigits = 5;
constexpr int kAlike = 3;

// A stroke stays in its box: 3 pixels off the middle, 9 of half its length, and a radius of 1.5
// with the half pixel in which it fades out make 14.
constexpr double kStrokeOffset = 3;
constexpr DemoRange kStrokeHalfLength = {5, 9};
constexpr DemoRange kStrokeRadius = {0.7, 1.5};
constexpr Ink kWhite = {255, 255, 255};

constexpr std::array<DemoSplit, 3> kSplits = {DemoSplit::kTrain, DemoSplit::kValidation,
                                              DemoSplit::kTest};
constexpr std::array<const char*, 3> kSplitNames = {"train", "validation", "test"};

bool overlap(const Box& a, const Box& b) {
  return std::abs(a.x - b.x) < kMnistSide && std::abs(a.y - b.y) < kMnistSide;
}

template <typename IsFree>
Box draw_box(RandomStream& random, int canvas, const IsFree& is_free) {
  for (;;) {
    const int64_t x = random.below(canvas - kMnistSide + 1);
    const Box box{x, random.below(canvas - kMnistSide + 1)};
    if (is_free(box)) return box;
  }
}

std::array<int, kDigits> draw_classes(RandomStream& random, int majority) {
  std::array<int, kDigits> classes;
  for (int i = 0; i < kDigits; ++i) {
    const int other = static_cast<int>(random.below(9));
    classes[static_cast<size_t>(i)] = i < kAlike ? majority : other + (other >= majority);
  }
  return classes;
}

// Two slightly bent strokes at any angle, which look like a digit from afar.
void draw_noise(RandomStream& random, const Box& box, image::Image& picture) {
  const auto near_middle = [&] {
    const double x = random.uniform(-kStrokeOffset, kStrokeOffset) + kMnistSide / 2.0;
    const double y = random.uniform(-kStrokeOffset, kStrokeOffset) + kMnistSide / 2.0;
    return Point{static_cast<double>(box.x) + x, static_cast<double>(box.y) + y};
  };
  for (int stroke = 0; stroke < 2; ++stroke) {
    const Point middle = near_middle();
    const Point bend = near_middle();
    const double angle = random.uniform(0, std::numbers::pi);
    const double half = random.uniform(kStrokeHalfLength.low, kStrokeHalfLength.high);
    const double dx = half * std::cos(angle), dy = half * std::sin(angle);
    paint_stroke(picture, {{{middle.x - dx, middle.y - dy}, bend, {middle.x + dx, middle.y + dy}}},
                 random.uniform(kStrokeRadius.low, kStrokeRadius.high), kWhite);
  }
}

void paste(const uint8_t* greys, const Box& box, image::Image& picture) {
  for (int row = 0; row < kMnistSide; ++row) {
    std::copy_n(greys + row * kMnistSide, kMnistSide, picture.row(box.y + row) + box.x);
  }
}

std::array<int64_t, 10> count_classes(const DigitPools& pools, DemoSplit split) {
  std::array<int64_t, 10> counts;
  for (size_t c = 0; c < 10; ++c) {
    counts[c] = static_cast<int64_t>(pools.of[static_cast<size_t>(split)][c].size());
  }
  return counts;
}

}  // namespace

DigitPools demo_pools(uint64_t seed) {
  DigitPools pools;
  for (int64_t i = 0; i < num_digits(); ++i) {
    const Digit digit = digit_at(i);
    image::Image small(kDigitSide, kDigitSide, 1);
    std::transform(digit.greys.begin(), digit.greys.end(), small.pixels.begin(),
                   [](int grey) { return static_cast<uint8_t>(grey * 255 / kDigitInk); });
    const image::Image large = image::resize(small, kMnistSide, kMnistSide);
    pools.digits.greys.insert(pools.digits.greys.end(), large.pixels.begin(), large.pixels.end());
    pools.digits.labels.push_back(static_cast<uint8_t>(digit.label));
  }
  for (const DemoSplit split : kSplits) {
    for (int label = 0; label < 10; ++label) {
      pools.of[static_cast<size_t>(split)][static_cast<size_t>(label)] =
          demo_digits(seed, label, split);
    }
  }
  return pools;
}

DigitPools mnist_pools(const std::filesystem::path& folder, uint64_t seed) {
  DigitPools pools;
  pools.digits = read_mnist(folder, "train");
  const DigitSet test = read_mnist(folder, "t10k");
  const int64_t num_train = pools.digits.size();
  pools.digits.labels.insert(pools.digits.labels.end(), test.labels.begin(), test.labels.end());
  pools.digits.greys.insert(pools.digits.greys.end(), test.greys.begin(), test.greys.end());

  auto& [train_of, validation_of, test_of] = pools.of;
  for (int64_t i = 0; i < pools.digits.size(); ++i) {
    const size_t label = pools.digits.labels[static_cast<size_t>(i)];
    (i < num_train ? train_of : test_of)[label].push_back(i);
  }
  for (size_t label = 0; label < 10; ++label) {
    std::vector<int64_t>& train = train_of[label];
    RandomStream(seed, Purpose::kDemo, kMegapixelSplitStream, label).shuffle(train);
    const auto validation = train.end() - static_cast<std::ptrdiff_t>((train.size() + 3) / 6);
    validation_of[label].assign(validation, train.end());
    train.erase(validation, train.end());
    for (size_t split = 0; split < 3; ++split) {
      if (!pools.of[split][label].empty()) continue;
      throw DataError(fmt::format("{} holds too few digits of class {}: none is left for {}",
                                  folder.string(), label, kSplitNames[split]));
    }
  }
  return pools;
}

bool is_mnist(const DigitPools& pools) {
  constexpr std::array<int64_t, 10> kTrain = {5923, 6742, 5958, 6131, 5842,
                                              5421, 5918, 6265, 5851, 5949};
  constexpr std::array<int64_t, 10> kTest = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
  std::array<int64_t, 10> train = count_classes(pools, DemoSplit::kTrain);
  const std::array<int64_t, 10> validation = count_classes(pools, DemoSplit::kValidation);
  for (size_t c = 0; c < 10; ++c) train[c] += validation[c];
  return train == kTrain && count_classes(pools, DemoSplit::kTest) == kTest;
}

MegapixelLabels megapixel_labels(const std::vector<MegapixelDigit>& digits) {
  std::map<int, int> times;
  for (const MegapixelDigit& digit : digits) ++times[digit.label];
  const auto majority = std::max_element(
      times.begin(), times.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto top = std::min_element(
      digits.begin(), digits.end(),
      [](const MegapixelDigit& a, const MegapixelDigit& b) { return a.box.y < b.box.y; });
  std::string multi;
  for (const auto& [label, count] : times)
    multi += fmt::format("{}{}", multi.empty() ? "" : ";", label);
  return {fmt::to_string(majority->first), fmt::to_string(times.rbegin()->first),
          fmt::to_string(top->label), multi};
}

void check_megapixel_options(const MegapixelOptions& options) {
  // Each box keeps the corners of others out of 55 x 55 places: five cannot fill 173 x 173.
  if (options.canvas < 200 || options.canvas > 65536) {
    throw ConfigError(
        "make-demo: the canvas of megapixel MNIST may have 200 to 65536 pixels a side");
  }
  if (std::min({options.train, options.validation, options.test, options.noise}) < 0) {
    throw ConfigError("make-demo: the number of pictures and strokes cannot be negative");
  }
}

MegapixelPicture draw_megapixel_picture(const MegapixelOptions& options, const DigitPools& pools,
                                        DemoSplit split, int64_t index) {
  const auto which = static_cast<size_t>(split);
  RandomStream random(options.seed, Purpose::kDemo, kMegapixelStream + which,
                      static_cast<uint64_t>(index));
  MegapixelPicture picture;
  picture.image = image::Image(options.canvas, options.canvas, 1);
  for (const int label : draw_classes(random, static_cast<int>(index % 10))) {
    const std::vector<int64_t>& pool = pools.of[which][static_cast<size_t>(label)];
    const int64_t digit =
        pool[static_cast<size_t>(random.below(static_cast<int64_t>(pool.size())))];
    const Box box = draw_box(random, options.canvas, [&](const Box& wanted) {
      return std::none_of(
          picture.digits.begin(), picture.digits.end(), [&](const MegapixelDigit& d) {
            return overlap(wanted, d.box) || wanted.y == d.box.y;  // one of them is the top-most
          });
    });
    picture.digits.push_back({digit, label, box});
    paste(pools.digits.digit(digit), box, picture.image);
  }
  for (int i = 0; i < options.noise; ++i) {
    picture.noise.push_back(draw_box(random, options.canvas, [&](const Box& wanted) {
      return std::none_of(picture.digits.begin(), picture.digits.end(),
                          [&](const MegapixelDigit& d) { return overlap(wanted, d.box); });
    }));
    draw_noise(random, picture.noise.back(), picture.image);
  }
  return picture;
}

void make_megapixel_pictures(const MegapixelOptions& options, const DigitPools& pools,
                             const std::filesystem::path& folder, int jobs,
                             const MakingProgress& progress) {
  check_megapixel_options(options);
  const std::array<int64_t, 3> counts = {options.train, options.validation, options.test};
  const int64_t total = counts[0] + counts[1] + counts[2];
  std::vector<std::string> lines(static_cast<size_t>(total));
  const auto make = [&](int64_t item) {
    size_t split = 0;
    int64_t index = item;
    while (index >= counts[split]) index -= counts[split++];
    MegapixelPicture picture = draw_megapixel_picture(options, pools, kSplits[split], index);
    const std::string path = fmt::format("{}/{:05}.png", kSplitNames[split], index);
    const MegapixelLabels labels = megapixel_labels(picture.digits);
    lines[static_cast<size_t>(item)] = csv_line(
        {path, labels.majority, labels.maximum, labels.top, labels.multi, kSplitNames[split]});
    return MadePicture{path, std::move(picture.image)};
  };
  const auto finish = [&](const std::filesystem::path& where) {
    std::string text = csv_line({"path", "majority", "maximum", "top", "multi", "split"});
    for (const std::string& line : lines) text += line;
    write_file_atomic(where / "labels.csv", text);
  };
  make_folder_of_pictures(folder, total, jobs, make, progress, finish);
}

}  // namespace dbps::ingest

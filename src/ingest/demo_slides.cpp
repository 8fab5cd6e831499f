#include "ingest/demo_slides.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "image/pyramid.h"
#include "ingest/demo_tissue.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

// Streams of Purpose::kDemo, beside those of demo_tissue.cpp.
constexpr uint64_t kSlideStream = 40;   // sample: the pair
constexpr uint64_t kLesionStream = 41;  // sample: the slide

constexpr int kCell = 64;  // pixels between the points where what lies in a slide is decided

bool has_lesions(int64_t index) { return index % 2 == 1; }

// Smooth noise around 0: random values on ever finer grids, interpolated.
class Noise {
 public:
  Noise(RandomStream& random, double coarsest, double side) : coarsest_(coarsest) {
    for (double cell = coarsest; layers_.size() < 3; cell /= 2.7) {
      const int count = static_cast<int>(side / cell) + 2;
      std::vector<double> values(static_cast<size_t>(count) * count);
      for (double& value : values) value = random.normal();
      layers_.push_back({count, std::move(values)});
    }
  }

  double at(double x, double y) const {
    double sum = 0, weight = 1, cell = coarsest_;
    for (const Layer& layer : layers_) {
      sum += weight * layer.at(x / cell, y / cell);
      weight /= 2;
      cell /= 2.7;
    }
    return sum;
  }

 private:
  struct Layer {
    int count;
    std::vector<double> values;
    double at(double x, double y) const {
      const int left = std::min(static_cast<int>(x), count - 2);
      const int top = std::min(static_cast<int>(y), count - 2);
      const double u = x - left, v = y - top;
      const double* row = values.data() + static_cast<size_t>(top) * count + left;
      return (row[0] * (1 - u) + row[1] * u) * (1 - v) +
             (row[count] * (1 - u) + row[count + 1] * u) * v;
    }
  };
  double coarsest_;
  std::vector<Layer> layers_;
};

// Where there is tissue, and of what kind: at the corners of cells, linear between them.
class Layout {
 public:
  Layout(const DemoSlideOptions& options, int64_t index)
      : side_(options.canvas), count_(options.canvas / kCell + 2) {
    // Sections of one block: lesions are all that tells a pair apart.
    RandomStream random(options.seed, Purpose::kDemo, kSlideStream,
                        static_cast<uint64_t>(index / 2));
    const double side = options.canvas;
    const double half_x = side * random.uniform(0.455, 0.485);
    const double half_y = side * random.uniform(0.455, 0.485);
    const Noise edge(random, side / 7, side + 2 * kCell);
    const Noise kind(random, std::min(side / 4, 1600.0), side + 2 * kCell);
    inside_.resize(static_cast<size_t>(count_) * count_);
    kind_.resize(inside_.size());
    for (int j = 0; j < count_; ++j) {
      for (int i = 0; i < count_; ++i) {
        const double x = i * kCell, y = j * kCell;
        const double u = (x - side / 2) / half_x, v = (y - side / 2) / half_y;
        const size_t at = static_cast<size_t>(j) * count_ + i;
        const double radius = std::pow(std::pow(u, 6) + std::pow(v, 6), 1.0 / 6);
        inside_[at] = static_cast<float>(1 - radius + 0.02 * edge.at(x, y));
        kind_[at] = static_cast<float>(kind.at(x, y));
      }
    }
    set_shares(random);
    for (int t = 0; t < kNumTissues; ++t) {
      origin_[t] = {static_cast<int>(random.below(kPatternSide)),
                    static_cast<int>(random.below(kPatternSide))};
    }
  }

  // The kind of every pixel of a row, lesions left out.
  void row(int64_t y, std::vector<uint8_t>& kinds) const {
    const int64_t j = y / kCell;
    const float v = static_cast<float>(y % kCell) / kCell;
    const float* inside = inside_.data() + j * count_;
    const float* kind = kind_.data() + j * count_;
    const auto down = [&](const float* row, int64_t i) {
      return row[i] + (row[i + count_] - row[i]) * v;
    };
    for (int64_t i = 0; i * kCell < side_; ++i) {
      const float inside_left = down(inside, i), inside_right = down(inside, i + 1);
      const float kind_left = down(kind, i), kind_right = down(kind, i + 1);
      const int64_t end = std::min<int64_t>(kCell, side_ - i * kCell);
      for (int64_t x = 0; x < end; ++x) {
        const float u = static_cast<float>(x) / kCell;
        const bool tissue = inside_left + (inside_right - inside_left) * u > 0;
        kinds[static_cast<size_t>(i * kCell + x)] =
            tissue ? tissue_of(kind_left + (kind_right - kind_left) * u)
                   : static_cast<uint8_t>(Tissue::kGlass);
      }
    }
  }

  // Whether all of a box lies in tissue that is no fat.
  bool is_solid(const Lesion& box) const {
    for (int64_t j = box.y / kCell; j <= (box.y + box.height) / kCell + 1; ++j) {
      for (int64_t i = box.x / kCell; i <= (box.x + box.width) / kCell + 1; ++i) {
        const size_t at = static_cast<size_t>(j) * count_ + i;
        if (inside_[at] <= 0 || kind_[at] < first_stroma_) return false;
      }
    }
    return true;
  }

  // About how many of the file's tiles show tissue.
  int64_t tissue_tiles() const {
    const int64_t corners =
        std::count_if(inside_.begin(), inside_.end(), [](float value) { return value > 0; });
    return corners * kCell * kCell / (kDemoSlideTile * kDemoSlideTile);
  }

  std::array<int, 2> origin(int tissue) const { return origin_[tissue]; }

 private:
  // Of the values at the corners, so that every slide has a share of every kind.
  void set_shares(RandomStream& random) {
    std::vector<float> sorted = kind_;
    std::sort(sorted.begin(), sorted.end());
    const auto quantile = [&](double share) {
      return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
    };
    first_stroma_ = quantile(random.uniform(0.03, 0.08));
    first_epithelium_ = quantile(random.uniform(0.4, 0.6));
    first_lymphoid_ = quantile(random.uniform(0.8, 0.92));
  }

  uint8_t tissue_of(float kind) const {
    const Tissue tissue = kind < first_stroma_       ? Tissue::kFat
                          : kind < first_epithelium_ ? Tissue::kStroma
                          : kind < first_lymphoid_   ? Tissue::kEpithelium
                                                     : Tissue::kLymphoid;
    return static_cast<uint8_t>(tissue);
  }

  int64_t side_;
  int64_t count_;
  std::vector<float> inside_;  // above 0: tissue
  std::vector<float> kind_;
  float first_stroma_ = 0, first_epithelium_ = 0, first_lymphoid_ = 0;
  std::array<std::array<int, 2>, kNumTissues> origin_{};
};

// The pixels [first, last) of a row in a lesion; none outside of it.
std::pair<int64_t, int64_t> span(const Lesion& lesion, int64_t y) {
  const double half_x = static_cast<double>(lesion.width) / 2;
  const double half_y = static_cast<double>(lesion.height) / 2;
  const double v = (static_cast<double>(y - lesion.y) + 0.5 - half_y) / half_y;
  if (std::abs(v) >= 1) return {0, 0};
  const double reach = half_x * std::sqrt(1 - v * v);
  const double centre = static_cast<double>(lesion.x) + half_x;
  return {static_cast<int64_t>(std::ceil(centre - reach)),
          static_cast<int64_t>(std::ceil(centre + reach))};
}

// The file's tiles that lesions touch.
size_t count_touched(const std::vector<Lesion>& lesions) {
  constexpr int64_t kTile = kDemoSlideTile;
  std::set<std::pair<int64_t, int64_t>> tiles;
  for (const Lesion& lesion : lesions) {
    for (int64_t y = lesion.y; y < lesion.y + lesion.height; ++y) {
      const auto [first, last] = span(lesion, y);
      for (int64_t x = first; x < last; x = (x / kTile + 1) * kTile) {
        tiles.emplace(x / kTile, y / kTile);
      }
    }
  }
  return tiles.size();
}

// One or two, which fill most of the tiles that may show any; made smaller until they fit.
std::vector<Lesion> place_lesions(const DemoSlideOptions& options, int64_t index,
                                  const Layout& layout) {
  RandomStream random(options.seed, Purpose::kDemo, kLesionStream, static_cast<uint64_t>(index));
  const int64_t most = std::max<int64_t>(1, static_cast<int64_t>(0.018 * layout.tissue_tiles()));
  const auto wanted = static_cast<size_t>(std::min(most, 1 + random.below(2)));
  const double side =
      kDemoSlideTile * std::sqrt(static_cast<double>(most) / static_cast<double>(wanted));
  std::vector<Lesion> lesions;
  double size = 1;
  for (int tries = 0; tries < 4000 && lesions.size() < wanted; ++tries) {
    Lesion lesion;
    lesion.width = static_cast<int64_t>(size * side * random.uniform(0.85, 1.15));
    lesion.height = static_cast<int64_t>(size * side * random.uniform(0.85, 1.15));
    lesion.x = random.below(options.canvas - lesion.width);
    lesion.y = random.below(options.canvas - lesion.height);
    lesions.push_back(lesion);
    const size_t share = static_cast<size_t>(most) * lesions.size() / wanted;
    if (layout.is_solid(lesion) && count_touched(lesions) <= share) continue;
    lesions.pop_back();
    size = std::max(0.3, size * 0.995);
  }
  return lesions;
}

void add_lesion(const Lesion& lesion, int64_t y, std::vector<uint8_t>& kinds) {
  const auto [first, last] = span(lesion, y);
  for (int64_t x = first; x < last; ++x) {
    kinds[static_cast<size_t>(x)] = static_cast<uint8_t>(Tissue::kLesion);
  }
}

void write_slide(const DemoSlideOptions& options, int64_t index,
                 const std::array<Pattern, kNumTissues>& patterns, const fs::path& path) {
  const Layout layout(options, index);
  const std::vector<Lesion> lesions = demo_lesions(options, index);
  const int64_t pair = index / 2;
  const Stain stain(options.seed, static_cast<uint64_t>(pair));
  image::PyramidOptions file;
  file.width = file.height = options.canvas;
  file.tile = kDemoSlideTile;
  file.mpp = kDemoSlideMpp;
  file.rgb = pair % 2 == 1;
  file.quality = file.rgb ? 80 : 85;
  image::PyramidWriter writer(path, file);
  std::vector<uint8_t> kinds(static_cast<size_t>(options.canvas));
  for (int64_t top = 0; top < options.canvas; top += kDemoSlideTile) {
    image::Image band(options.canvas, std::min<int64_t>(kDemoSlideTile, options.canvas - top), 3);
    for (int64_t row = 0; row < band.height; ++row) {
      const int64_t y = top + row;
      layout.row(y, kinds);
      for (const Lesion& lesion : lesions) add_lesion(lesion, y, kinds);
      std::array<const Dyes*, kNumTissues> lines{};
      for (int t = 0; t < kNumTissues; ++t) {
        const int64_t line = (y + layout.origin(t)[1]) & (kPatternSide - 1);
        lines[t] = patterns[t].data() + line * kPatternSide;
      }
      uint8_t* rgb = band.row(row);
      for (int64_t x = 0; x < options.canvas; ++x, rgb += 3) {
        const uint8_t kind = kinds[static_cast<size_t>(x)];
        stain.paint(lines[kind][(x + layout.origin(kind)[0]) & (kPatternSide - 1)], rgb);
      }
    }
    writer.write(band);
  }
  writer.finish();
}

std::string slide_id(int64_t index) { return fmt::format("slide-{:03}", index); }

void write_tables(const DemoSlideOptions& options, int64_t total, const fs::path& folder) {
  std::string labels = csv_line({"id", "label", "split", "patient"});
  std::string lesions = csv_line({"id", "x", "y", "width", "height"});
  for (int64_t index = 0; index < total; ++index) {
    const char* split = index < options.train                        ? "train"
                        : index < options.train + options.validation ? "validation"
                                                                     : "test";
    labels += csv_line({slide_id(index), has_lesions(index) ? "tumor" : "normal", split,
                        fmt::format("p{:03}", index / 2)});
    for (const Lesion& lesion : demo_lesions(options, index)) {
      lesions += csv_line({slide_id(index), fmt::to_string(lesion.x), fmt::to_string(lesion.y),
                           fmt::to_string(lesion.width), fmt::to_string(lesion.height)});
    }
  }
  write_file_atomic(folder / "labels.csv", labels);
  write_file_atomic(folder / "lesions.csv", lesions);
}

}  // namespace

std::vector<Lesion> demo_lesions(const DemoSlideOptions& options, int64_t index) {
  if (!has_lesions(index)) return {};
  return place_lesions(options, index, Layout(options, index));
}

void check_demo_slide_options(const DemoSlideOptions& options) {
  if (options.canvas < 1024 || options.canvas > 65536) {
    throw ConfigError("make-demo: the canvas of a slide may have 1024 to 65536 pixels a side");
  }
  if (std::min({options.train, options.validation, options.test}) < 0 ||
      options.train % 2 + options.validation % 2 + options.test % 2 > 0) {
    throw ConfigError("make-demo: slides come in pairs: take even numbers of them");
  }
}

void make_demo_slides(const DemoSlideOptions& options, const fs::path& folder, int jobs,
                      const MakingProgress& progress) {
  check_demo_slide_options(options);
  const std::array<Pattern, kNumTissues> patterns = make_patterns(options.seed);
  const int64_t total = int64_t{options.train} + options.validation + options.test;
  make_folder(
      folder, total, jobs,
      [&](int64_t index, const fs::path& where) {
        make_folders(where / "slides");
        write_slide(options, index, patterns, where / "slides" / (slide_id(index) + ".tif"));
      },
      progress, [&](const fs::path& where) { write_tables(options, total, where); });
}

}  // namespace dbps::ingest

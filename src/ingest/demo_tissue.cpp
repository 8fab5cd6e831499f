#include "ingest/demo_tissue.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/random.h"

namespace dbps::ingest {
namespace {

// Streams of Purpose::kDemo, beside those of demo.cpp and megapixel.cpp.
constexpr uint64_t kPatternStream = 48;  // sample: the tissue
constexpr uint64_t kStainStream = 49;    // sample: the stain's number

constexpr int kSide = kPatternSide;

struct NucleusKind {
  int spacing;  // pixels from one to the next, about; divides the side
  double radius_low;
  double radius_high;
  double longest;  // of the two axes, over the other, at most
  double wobble;   // of the outline, relative
  int dye_low;
  int dye_high;
  double present;  // share of places that hold one
  bool nucleolus = false;
};

class PatternMaker {
 public:
  PatternMaker(uint64_t seed, Tissue tissue)
      : random_(seed, Purpose::kDemo, kPatternStream, static_cast<uint64_t>(tissue)),
        pattern_(static_cast<size_t>(kSide) * kSide) {}

  Pattern take() { return std::move(pattern_); }

  // Eosin as a sum of waves that close at the edges, on `blue` hematoxylin. Fibres are waves of one
  // direction.
  void ground(int mean, int amplitude, int waves, bool fibres, int blue = 10) {
    std::vector<double> sum(pattern_.size());
    const double main = random_.uniform(0, std::numbers::pi);
    for (int w = 0; w < waves; ++w) {
      const double angle =
          fibres ? main + 0.35 * random_.normal() : random_.uniform(0, 2 * std::numbers::pi);
      const double frequency = random_.uniform(12, 90);
      const double fx = std::round(frequency * std::cos(angle));
      const double fy = std::round(frequency * std::sin(angle));
      add_wave(fx, fy, random_.uniform(0, 2 * std::numbers::pi), sum);
    }
    const double scale = amplitude / std::sqrt(waves / 2.0);
    for (size_t i = 0; i < pattern_.size(); ++i) {
      const double grain = 4.0 * (random_.uniform() - 0.5);
      pattern_[i].eosin = byte(mean + scale * sum[i] + grain);
      pattern_[i].hematoxylin = byte(blue + 0.1 * scale * sum[i]);
    }
  }

  void glass() {
    for (Dyes& dyes : pattern_) dyes = {0, static_cast<uint8_t>(random_.below(4))};
  }

  // Empty cells between thin walls.
  void vacuoles(int spacing) {
    for_each_place(spacing, [&](double x, double y) {
      const double radius = spacing * random_.uniform(0.42, 0.56);
      disc(x, y, radius, [&](Dyes& dyes, double at) {
        if (at < 1 - 3 / radius) dyes = {0, 3};
      });
    });
  }

  void nuclei(const NucleusKind& kind) {
    for_each_place(kind.spacing, [&](double x, double y) {
      if (random_.uniform() < kind.present) nucleus(kind, x, y);
    });
  }

 private:
  static uint8_t byte(double value) {
    return static_cast<uint8_t>(std::clamp(value, 0.0, 255.0) + 0.5);
  }

  // By turning a pointer along each row: a sine a pixel would take seconds.
  void add_wave(double fx, double fy, double phase, std::vector<double>& sum) {
    const double step = 2 * std::numbers::pi * fx / kSide;
    const double turn_c = std::cos(step), turn_s = std::sin(step);
    for (int y = 0; y < kSide; ++y) {
      const double start = phase + 2 * std::numbers::pi * fy * y / kSide;
      double c = std::cos(start), s = std::sin(start);
      double* row = sum.data() + static_cast<size_t>(y) * kSide;
      for (int x = 0; x < kSide; ++x) {
        row[x] += s;
        const double next = c * turn_c - s * turn_s;
        s = s * turn_c + c * turn_s;
        c = next;
      }
    }
  }

  template <typename Visit>
  void for_each_place(int spacing, const Visit& visit) {
    for (int y = spacing / 2; y < kSide; y += spacing) {
      for (int x = spacing / 2; x < kSide; x += spacing) {
        const double dx = random_.uniform(-0.3, 0.3) * spacing;
        visit(x + dx, y + random_.uniform(-0.3, 0.3) * spacing);
      }
    }
  }

  Dyes& at(int x, int y) {
    return pattern_[static_cast<size_t>(y & (kSide - 1)) * kSide + (x & (kSide - 1))];
  }

  // visit(dyes, distance from the centre over the radius) within a disc, across the edges.
  template <typename Visit>
  void disc(double cx, double cy, double radius, const Visit& visit) {
    const int reach = static_cast<int>(radius) + 1;
    for (int dy = -reach; dy <= reach; ++dy) {
      for (int dx = -reach; dx <= reach; ++dx) {
        const double distance = std::hypot(dx, dy) / radius;
        if (distance <= 1) {
          visit(at(static_cast<int>(cx) + dx, static_cast<int>(cy) + dy), distance);
        }
      }
    }
  }

  void nucleus(const NucleusKind& kind, double cx, double cy) {
    const double radius = random_.uniform(kind.radius_low, kind.radius_high);
    const double ratio = random_.uniform(1, kind.longest);
    const double angle = random_.uniform(0, std::numbers::pi);
    const double bulge = random_.uniform(0, 2 * std::numbers::pi);
    const int dye =
        kind.dye_low + static_cast<int>(random_.below(kind.dye_high - kind.dye_low + 1));
    const double ca = std::cos(angle), sa = std::sin(angle);
    const int reach = static_cast<int>(radius * ratio * (1 + kind.wobble)) + 1;
    for (int dy = -reach; dy <= reach; ++dy) {
      for (int dx = -reach; dx <= reach; ++dx) {
        const double u = (dx * ca + dy * sa) / ratio;
        const double v = dy * ca - dx * sa;
        const double outline = radius * (1 + kind.wobble * std::sin(3 * std::atan2(v, u) + bulge));
        const double inside = outline - std::hypot(u, v);
        if (inside <= 0) continue;
        // Soft at the rim, and lighter within than at it.
        const double cover = std::min(1.0, inside);
        const double chromatin = dye - (kind.nucleolus ? 45 : 15) * std::min(1.0, inside / radius);
        Dyes& dyes = at(static_cast<int>(cx) + dx, static_cast<int>(cy) + dy);
        dyes.hematoxylin = byte(dyes.hematoxylin + (chromatin - dyes.hematoxylin) * cover);
        dyes.eosin = byte(dyes.eosin * (1 - 0.5 * cover));
      }
    }
    if (kind.nucleolus) {
      disc(cx + 0.3 * radius * ca, cy + 0.3 * radius * sa, 0.28 * radius,
           [](Dyes& dyes, double) { dyes.hematoxylin = 255; });
    }
  }

  RandomStream random_;
  Pattern pattern_;
};

Pattern make_pattern(uint64_t seed, Tissue tissue) {
  PatternMaker maker(seed, tissue);
  switch (tissue) {
    case Tissue::kFat:
      maker.ground(95, 15, 8, /*fibres=*/false);
      maker.vacuoles(64);
      break;
    case Tissue::kStroma:
      maker.ground(115, 40, 24, /*fibres=*/true);
      maker.nuclei({32, 3, 4, 3, 0, 150, 190, 0.5});
      break;
    case Tissue::kEpithelium:
      maker.ground(125, 18, 16, /*fibres=*/false);
      maker.nuclei({16, 4, 5.5, 1.3, 0.03, 140, 185, 0.7});
      break;
    case Tissue::kLymphoid:
      maker.ground(85, 12, 12, /*fibres=*/false);
      maker.nuclei({8, 3, 4, 1.15, 0, 150, 195, 0.8});
      break;
    case Tissue::kGlass:
      maker.glass();
      break;
    case Tissue::kLesion:
      maker.ground(70, 18, 12, /*fibres=*/false, /*blue=*/95);
      maker.nuclei({16, 7, 10.5, 1.5, 0.15, 205, 255, 0.85, true});
      break;
  }
  return maker.take();
}

}  // namespace

std::array<Pattern, kNumTissues> make_patterns(uint64_t seed) {
  std::array<Pattern, kNumTissues> patterns;
  for (int t = 0; t < kNumTissues; ++t) {
    patterns[static_cast<size_t>(t)] = make_pattern(seed, static_cast<Tissue>(t));
  }
  return patterns;
}

Stain::Stain(uint64_t seed, uint64_t number) {
  RandomStream random(seed, Purpose::kDemo, kStainStream, number);
  // Optical densities of the two dyes (Ruifrok and Johnston, 2001), moved a little.
  std::array<double, 3> blue = {0.65, 0.70, 0.29};
  std::array<double, 3> pink = {0.07, 0.99, 0.11};
  std::array<double, 3> lamp = {245, 244, 246};
  for (int c = 0; c < 3; ++c) {
    blue[c] = std::max(0.02, blue[c] + random.uniform(-0.08, 0.08));
    pink[c] = std::max(0.02, pink[c] + random.uniform(-0.06, 0.06));
    lamp[c] += random.uniform(-5, 5);
  }
  const double blue_strength = random.uniform(1.7, 2.5);
  const double pink_strength = random.uniform(1.0, 1.6);
  for (int c = 0; c < 3; ++c) {
    for (int amount = 0; amount < 256; ++amount) {
      const double a = amount / 255.0;
      blue_[c][amount] = static_cast<uint16_t>(
          std::lround(4096 * lamp[c] / 256 * std::exp(-blue_strength * blue[c] * a)));
      pink_[c][amount] =
          static_cast<uint16_t>(std::lround(4096 * std::exp(-pink_strength * pink[c] * a)));
    }
  }
}

}  // namespace dbps::ingest

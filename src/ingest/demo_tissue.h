// What the demo's slides are painted with: patterns of stained tissue, made once and shared by all
// slides, and the stain that gives them their colours.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace dbps::ingest {

// In the order in which they lie beside each other in a slide, but for the last two.
enum class Tissue {
  kFat = 0,
  kStroma = 1,
  kEpithelium = 2,
  kLymphoid = 3,
  kGlass = 4,
  kLesion = 5
};
inline constexpr int kNumTissues = 6;

// How much of each dye a pixel holds, 0 .. 255. A pattern goes on across its edges, so that a slide
// may start anywhere in it.
struct Dyes {
  uint8_t hematoxylin;  // nuclei: blue
  uint8_t eosin;        // all else: pink
};

inline constexpr int kPatternSide = 1024;  // pixels, a power of two

using Pattern = std::vector<Dyes>;  // kPatternSide x kPatternSide, row-major

// Lymphoid tissue is next to a lesion in colour, and its nuclei are closer; those of a lesion are
// twice as wide, darker and uneven, and show what lies in them, and what is between them is blue.
std::array<Pattern, kNumTissues> make_patterns(uint64_t seed);

// The dyes and the lamp of one scanner. Any thread.
class Stain {
 public:
  // Drawn at random; the same `seed` and `number`, the same stain.
  Stain(uint64_t seed, uint64_t number);

  void paint(Dyes dyes, uint8_t* rgb) const {
    for (int c = 0; c < 3; ++c) {
      const uint32_t light = blue_[c][dyes.hematoxylin] * uint32_t{pink_[c][dyes.eosin]};
      rgb[c] = static_cast<uint8_t>(light >> 16);
    }
  }

 private:
  // Shares of light that pass, a channel and amount of dye: 0 .. 4096, the lamp's colour included,
  // and 0 .. 4096.
  std::array<std::array<uint16_t, 256>, 3> blue_;
  std::array<std::array<uint16_t, 256>, 3> pink_;
};

}  // namespace dbps::ingest

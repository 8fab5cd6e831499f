#include "image/lettering.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace dbps::image {
namespace {

constexpr int kColumns = 5;
constexpr int kRows = 9;

// A row a number, its highest bit on the left.
struct Glyph {
  char letter;
  std::array<uint8_t, kRows> rows;
};
// clang-format off
constexpr Glyph kGlyphs[] = {
    {'#', {10, 10, 31, 10, 31, 10, 10}}, {'%', {25, 25, 2, 4, 8, 19, 19}},
    {'\'', {4, 4, 0, 0, 0, 0, 0}}, {'(', {2, 4, 8, 8, 8, 4, 2}},
    {')', {8, 4, 2, 2, 2, 4, 8}}, {'+', {0, 0, 4, 14, 4, 0, 0}},
    {',', {0, 0, 0, 0, 0, 0, 4, 4, 8}}, {'-', {0, 0, 0, 14, 0, 0, 0}},
    {'.', {0, 0, 0, 0, 0, 0, 4}}, {'/', {1, 1, 2, 4, 8, 16, 16}},
    {'0', {14, 17, 17, 17, 17, 17, 14}}, {'1', {4, 12, 4, 4, 4, 4, 14}},
    {'2', {14, 17, 1, 2, 4, 8, 31}}, {'3', {14, 17, 1, 6, 1, 17, 14}},
    {'4', {2, 6, 10, 18, 31, 2, 2}}, {'5', {31, 16, 30, 1, 1, 17, 14}},
    {'6', {14, 16, 16, 30, 17, 17, 14}}, {'7', {31, 1, 2, 4, 4, 8, 8}},
    {'8', {14, 17, 17, 14, 17, 17, 14}}, {'9', {14, 17, 17, 15, 1, 1, 14}},
    {':', {0, 0, 4, 0, 0, 4, 0}}, {'=', {0, 0, 14, 0, 14, 0, 0}},
    {'?', {14, 17, 1, 2, 4, 0, 4}}, {'A', {14, 17, 17, 31, 17, 17, 17}},
    {'B', {30, 17, 17, 30, 17, 17, 30}}, {'C', {14, 17, 16, 16, 16, 17, 14}},
    {'D', {30, 17, 17, 17, 17, 17, 30}}, {'E', {31, 16, 16, 30, 16, 16, 31}},
    {'F', {31, 16, 16, 30, 16, 16, 16}}, {'G', {14, 17, 16, 19, 17, 17, 14}},
    {'H', {17, 17, 17, 31, 17, 17, 17}}, {'I', {14, 4, 4, 4, 4, 4, 14}},
    {'J', {7, 2, 2, 2, 2, 18, 12}}, {'K', {17, 18, 20, 24, 20, 18, 17}},
    {'L', {16, 16, 16, 16, 16, 16, 31}}, {'M', {17, 27, 21, 21, 17, 17, 17}},
    {'N', {17, 25, 25, 21, 19, 19, 17}}, {'O', {14, 17, 17, 17, 17, 17, 14}},
    {'P', {30, 17, 17, 30, 16, 16, 16}}, {'Q', {14, 17, 17, 17, 21, 18, 13}},
    {'R', {30, 17, 17, 30, 20, 18, 17}}, {'S', {14, 17, 16, 14, 1, 17, 14}},
    {'T', {31, 4, 4, 4, 4, 4, 4}}, {'U', {17, 17, 17, 17, 17, 17, 14}},
    {'V', {17, 17, 17, 17, 10, 10, 4}}, {'W', {17, 17, 17, 21, 21, 27, 17}},
    {'X', {17, 17, 10, 4, 10, 17, 17}}, {'Y', {17, 17, 10, 4, 4, 4, 4}},
    {'Z', {31, 1, 2, 4, 8, 16, 31}}, {'_', {0, 0, 0, 0, 0, 0, 0, 31}},
    {'a', {0, 0, 14, 1, 15, 17, 15}}, {'b', {16, 16, 30, 17, 17, 17, 30}},
    {'c', {0, 0, 14, 17, 16, 17, 14}}, {'d', {1, 1, 15, 17, 17, 17, 15}},
    {'e', {0, 0, 14, 17, 31, 16, 14}}, {'f', {6, 8, 30, 8, 8, 8, 8}},
    {'g', {0, 0, 15, 17, 17, 17, 15, 1, 14}}, {'h', {16, 16, 30, 17, 17, 17, 17}},
    {'i', {4, 0, 12, 4, 4, 4, 14}}, {'j', {2, 0, 6, 2, 2, 2, 2, 2, 12}},
    {'k', {16, 16, 18, 20, 24, 20, 18}}, {'l', {12, 4, 4, 4, 4, 4, 14}},
    {'m', {0, 0, 30, 21, 21, 21, 21}}, {'n', {0, 0, 30, 17, 17, 17, 17}},
    {'o', {0, 0, 14, 17, 17, 17, 14}}, {'p', {0, 0, 30, 17, 17, 17, 30, 16, 16}},
    {'q', {0, 0, 15, 17, 17, 17, 15, 1, 1}}, {'r', {0, 0, 22, 25, 16, 16, 16}},
    {'s', {0, 0, 15, 16, 14, 1, 30}}, {'t', {8, 8, 30, 8, 8, 8, 6}},
    {'u', {0, 0, 17, 17, 17, 17, 15}}, {'v', {0, 0, 17, 17, 10, 10, 4}},
    {'w', {0, 0, 17, 21, 21, 21, 10}}, {'x', {0, 0, 17, 10, 4, 10, 17}},
    {'y', {0, 0, 17, 17, 17, 17, 15, 1, 14}}, {'z', {0, 0, 31, 2, 4, 8, 31}},
};
// clang-format on

// Between the centres of two dots.
struct Stroke {
  double x0, y0, x1, y1;
};

const Glyph& glyph_of(char letter) {
  const auto* found = std::ranges::find(kGlyphs, letter, &Glyph::letter);
  return found != std::end(kGlyphs) ? *found : *std::ranges::find(kGlyphs, '?', &Glyph::letter);
}

// Dots that touch are joined; at a corner only where no way leads around it.
std::vector<Stroke> strokes_of(const Glyph& glyph) {
  const auto set = [&](int x, int y) {
    return x >= 0 && x < kColumns && y < kRows && (glyph.rows[y] >> (kColumns - 1 - x) & 1) != 0;
  };
  std::vector<Stroke> strokes;
  for (int y = 0; y < kRows; ++y) {
    for (int x = 0; x < kColumns; ++x) {
      if (!set(x, y)) continue;
      const auto join = [&](int to_x, int to_y) {
        strokes.push_back({x + 0.5, y + 0.5, to_x + 0.5, to_y + 0.5});
      };
      join(x, y);
      if (set(x + 1, y)) join(x + 1, y);
      if (set(x, y + 1)) join(x, y + 1);
      for (const int side : {-1, 1}) {
        if (set(x + side, y + 1) && !set(x + side, y) && !set(x, y + 1)) join(x + side, y + 1);
      }
    }
  }
  return strokes;
}

double distance(double x, double y, const Stroke& stroke) {
  const double dx = stroke.x1 - stroke.x0, dy = stroke.y1 - stroke.y0;
  const double length = dx * dx + dy * dy;
  const double along = (x - stroke.x0) * dx + (y - stroke.y0) * dy;
  const double at = length > 0 ? std::clamp(along / length, 0.0, 1.0) : 0;
  return std::hypot(x - stroke.x0 - at * dx, y - stroke.y0 - at * dy);
}

// A round pen, its edge as soft as a pixel.
void write_letter(Image& picture, int64_t x, int64_t y, int64_t dot, Colour colour, char letter) {
  const std::vector<Stroke> strokes = strokes_of(glyph_of(letter));
  const auto pitch = static_cast<double>(dot);
  for (int64_t row = 0; row < kRows * dot; ++row) {
    for (int64_t column = 0; column < kColumns * dot; ++column) {
      double nearest = kRows;
      for (const Stroke& stroke : strokes) {
        nearest = std::min(nearest, distance((static_cast<double>(column) + 0.5) / pitch,
                                             (static_cast<double>(row) + 0.5) / pitch, stroke));
      }
      const double ink = std::clamp((0.5 - nearest) * pitch + 0.5, 0.0, 1.0);
      if (ink > 0) tint(picture, x + column, y + row, 1, 1, colour, ink);
    }
  }
}

}  // namespace

int64_t text_width(std::string_view text, int64_t dot) {
  return static_cast<int64_t>(text.size()) * kLetterDots * dot;
}

int64_t write_text(Image& picture, int64_t x, int64_t y, int64_t dot, Colour colour,
                   std::string_view text) {
  DBPS_CHECK(picture.channels == 3 && dot > 0, "words need a picture in colour, and a size");
  for (const char letter : text) {
    if (letter != ' ') write_letter(picture, x, y, dot, colour, letter);
    x += kLetterDots * dot;
  }
  return x;
}

}  // namespace dbps::image

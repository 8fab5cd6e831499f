// Words on pictures: legends and captions.
#pragma once

#include <cstdint>
#include <string_view>

#include "image/draw.h"
#include "image/image.h"

namespace dbps::image {

// Letters stand on a grid of dots, 5 wide and 7 high, lower ones with 2 more below; `dot` is its
// pitch in pixels, the pen as thick.
inline constexpr int64_t kLetterDots = 6;  // from one letter to the next
inline constexpr int64_t kLineDots = 12;   // from one line to the next

// Pixels that a line takes.
int64_t text_width(std::string_view text, int64_t dot);

// Writes ASCII letters, digits and common signs on an RGB picture, the first one's upper left
// corner at (x, y); any other byte shows as '?'. What lies outside is left out. Returns the x where
// the next letter would stand.
int64_t write_text(Image& picture, int64_t x, int64_t y, int64_t dot, Colour colour,
                   std::string_view text);

}  // namespace dbps::image

// Colours and words that pictures of what a model looked at have in common.
#pragma once

#include <cstdint>
#include <string>

#include "image/draw.h"
#include "image/image.h"
#include "report/heat_map.h"

namespace dbps::report {

// Okabe and Ito's orange and sky blue: told apart by colour-blind readers, in grey too.
inline constexpr image::Colour kSalient{230, 159, 0};
inline constexpr image::Colour kSubSalient{86, 180, 233};
inline constexpr image::Colour kNotChosen{205, 209, 212};
inline constexpr image::Colour kInk{38, 42, 46};
inline constexpr image::Colour kFaintInk{120, 126, 132};

image::Colour colour_of(Chosen chosen);

// "0.031", "4.2", "136": of small numbers so many digits.
std::string times_text(double times, int digits = 2);

}  // namespace dbps::report

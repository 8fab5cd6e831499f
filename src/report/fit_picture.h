// A picture of any size, as a page or a screen takes it.
#pragma once

#include <cstdint>

#include "image/image.h"

namespace dbps::report {

// As RGB, from grey too, the longer side brought to `side` pixels.
image::Image bring_to_side(const image::Image& picture, int64_t side);

// As RGB, the longer side brought to 512 .. max_side pixels.
image::Image fit_picture(const image::Image& picture, int64_t max_side);

}  // namespace dbps::report

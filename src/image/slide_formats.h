// One function a reader of slides, behind slide.h. Private to this room. All throw DataError.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "image/slide.h"

namespace dbps::image::internal {

std::unique_ptr<Slide> open_tiff_slide(const std::string& path);

// Copies the part of `block`, whose corner lies at (x, y), that `region` at (left, top) covers.
void copy_overlap(const Image& block, int64_t x, int64_t y, Image& region, int64_t left,
                  int64_t top);

}  // namespace dbps::image::internal

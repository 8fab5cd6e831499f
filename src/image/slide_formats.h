// One function a reader of slides, behind slide.h. Private to this room. All throw DataError.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "image/row_decoder.h"
#include "image/slide.h"

namespace dbps::image::internal {

std::unique_ptr<Slide> open_tiff_slide(const std::string& path);
// Null where there is no OpenSlide, where it does not know the format, or knows no more of it than
// that it is a TIFF.
std::unique_ptr<Slide> open_openslide(const std::string& path);
using OpenRows = std::unique_ptr<RowDecoder> (*)(const std::string& path);
std::unique_ptr<Slide> open_row_slide(const std::string& path, OpenRows open);

// Throws DataError for what no reader of slides takes: no pixels, 16 bits, turned.
void require_slide(const Info& info, const std::string& name);

// Copies the part of `block`, whose corner lies at (x, y), that `region` at (left, top) covers.
void copy_overlap(const Image& block, int64_t x, int64_t y, Image& region, int64_t left,
                  int64_t top);

}  // namespace dbps::image::internal

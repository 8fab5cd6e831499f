// Resizing as Pillow's antialiased bilinear filter (Image.BILINEAR), up and down, within 1/255.
#pragma once

#include "image/image.h"

namespace dbps::image {

Image resize(const Image& source, int64_t width, int64_t height);

}  // namespace dbps::image

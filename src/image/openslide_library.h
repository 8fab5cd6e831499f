// OpenSlide, loaded when a slide is first opened: a machine without slides needs neither it nor the
// forty libraries that it brings.
#pragma once

#include <openslide/openslide.h>

#include <string>

namespace dbps::image::internal {

// Its functions under their own names, less "openslide_". 3.4 and 4.x serve alike.
struct OpenSlideLibrary {
  decltype(&openslide_get_version) get_version;
  decltype(&openslide_detect_vendor) detect_vendor;
  decltype(&openslide_open) open;
  decltype(&openslide_close) close;
  decltype(&openslide_get_error) get_error;
  decltype(&openslide_get_level_count) get_level_count;
  decltype(&openslide_get_level_dimensions) get_level_dimensions;
  decltype(&openslide_get_level_downsample) get_level_downsample;
  decltype(&openslide_read_region) read_region;
  decltype(&openslide_get_property_value) get_property_value;
};

// Null where the machine has none. Any thread; it stays loaded.
const OpenSlideLibrary* openslide_library();

}  // namespace dbps::image::internal

// Pictures of what was selected, as the paper's Fig. 4.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/image.h"

namespace dbps::report {

struct MapPatch {
  double x = 0;  // pixels of the source
  double y = 0;
  double width = 0;
  double height = 0;
  double score = 0;
};

// The picture (grey or RGB) as RGB, its longer side brought to 512..`max_side` pixels and dimmed
// outside the selected patches; salient ones framed in orange, sub-salient ones in sky blue, with a
// legend in a strip below. Scores deepen the frame, from lowest to highest of a kind. Patches count
// in pixels of a source of source_width x source_height; parts outside are left out.
image::Image draw_map(const image::Image& picture, int64_t source_width, int64_t source_height,
                      const std::vector<MapPatch>& salient,
                      const std::vector<MapPatch>& sub_salient, int64_t max_side = 1024);

// As the paper's Fig. 4, two by two, each at most `max_side` pixels long: the picture, its salient
// patches, its sub-salient ones, and both.
image::Image draw_panels(const image::Image& picture, const std::vector<MapPatch>& salient,
                         const std::vector<MapPatch>& sub_salient, int64_t max_side = 720);

}  // namespace dbps::report

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

// The picture, reduced to at most `max_side` pixels, dimmed outside the selected patches; salient ones
// framed in one colour, sub-salient ones in another, with a legend. Scores deepen the frame.
image::Image draw_map(const image::Image& picture, int64_t source_width, int64_t source_height,
                      const std::vector<MapPatch>& salient, const std::vector<MapPatch>& sub_salient,
                      int64_t max_side = 1024);

}  // namespace dbps::report

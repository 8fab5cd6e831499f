// Demo slides: tissue of several kinds on glass, some with small lesions. They come in pairs, two
// sections of one block: the same tissue, stain and scanner, with lesions in one and none in the
// other. So neither of these tells them apart; what does is at most a fiftieth of a slide's tiles.
//
// All randomness is owned by (seed, slide): neither threads nor order change a slide.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "ingest/made_folder.h"

namespace dbps::ingest {

struct DemoSlideOptions {
  uint64_t seed = 0;
  int canvas = 10240;  // pixels of level 0, half a micron each
  int train = 60;      // slides a split, in pairs
  int validation = 16;
  int test = 24;
};

inline constexpr int kDemoSlideTile = 256;  // pixels a side of the tiles in the files
inline constexpr double kDemoSlideMpp = 0.5;

// Of a store of them: what one tile of a file shows, at the scale of its next level. Lesions are as
// plain there, for a sixteenth of the pixels.
inline constexpr double kDemoStoreMpp = 2;
inline constexpr int kDemoStoreTile = 64;

// The ellipse that fills this box, in pixels of level 0.
struct Lesion {
  int64_t x = 0;
  int64_t y = 0;
  int64_t width = 0;
  int64_t height = 0;
};

// What slide `index` (over all splits) holds; none for every other slide. The options were checked.
std::vector<Lesion> demo_lesions(const DemoSlideOptions& options, int64_t index);

// Throws ConfigError for options that cannot be drawn.
void check_demo_slide_options(const DemoSlideOptions& options);

// Writes folder/slides/<id>.tif (pyramids of JPEG tiles), folder/labels.csv (id, label, split,
// patient: a pair is a patient's) and folder/lesions.csv (id, x, y, width, height: to hold results
// against, never for ingest). Whole, or no folder at all; errors as make_folder_of_pictures.
void make_demo_slides(const DemoSlideOptions& options, const std::filesystem::path& folder,
                      int jobs, const MakingProgress& progress = {});

}  // namespace dbps::ingest

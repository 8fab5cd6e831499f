// What is cut out of one picture, and the cutting. Augmentation is: jitter of the colours, shift by
// the translation with black coming in, flips, then quarter turns; the grid is laid on the result.
// Of a slide, whose store holds its tiles, each tile is a picture of one patch: all are turned
// alike.
#pragma once

#include <cstdint>
#include <vector>

#include "data/batch.h"
#include "data/dataset.h"
#include "data/grid.h"
#include "data/loader.h"
#include "image/image.h"

namespace dbps::data {

// Where the augmented picture's pixels come from: its pixel (x, y) is the resized picture's
// (origin_x + x_from_x x + x_from_y y, origin_y + y_from_x x + y_from_y y), black when outside.
struct Placement {
  int64_t origin_x = 0;
  int64_t x_from_x = 1;
  int64_t x_from_y = 0;
  int64_t origin_y = 0;
  int64_t y_from_x = 0;
  int64_t y_from_y = 1;
};

// All that is known of a picture's part in a batch before its pixels are read.
struct Cut {
  HostBag bag;
  Size resized;  // of a slide: of one tile, as is the grid
  Grid grid;     // on the augmented picture
  Placement placement;
  std::vector<Jitter> jitter;  // none, one, or one a kept patch; mean_grey still to come
  JitterPer jitter_per = JitterPer::kBag;
  std::vector<Window> erased;  // none, or one a kept patch, in its own pixels; empty: all zeros
};

// Which of a bag's n patches are kept, ascending: in training those that the drop leaves, else all.
std::vector<int64_t> choose_kept(int64_t n, uint64_t sample, const LoaderOptions& options);

// The rectangle of the augmented picture that a patch of the grid shows.
Window patch_window(const Grid& grid, int64_t index);

// Names the random streams of a picture that the epoch has drawn `occurrence` times before.
uint64_t sample_of(uint64_t picture, int64_t occurrence);

// A function of seed, epoch, picture and how often the epoch has drawn it before: each time has
// random streams of its own.
Cut plan_cut(const Dataset& dataset, int64_t picture, const LoaderOptions& options,
             int64_t occurrence = 0);
// The same for a bag of which only picture, id, sample and source size are known.
Cut plan_cut(HostBag bag, const LoaderOptions& options);
// The same for a slide that is in no data set.
Cut plan_cut(const WholeBag& slide, const LoaderOptions& options);

// Writes one patch of a resized picture, planes (C, h, w), and x0, y0, x1, y1 of the part of it
// that lies in the picture to `inside`. Pixels from outside the picture are 0. Returns the bytes
// copied.
int64_t cut_patch(const image::Image& picture, const Placement& placement, const Window& patch,
                  uint8_t* pixels, int32_t* inside);

// The same for all kept patches: `pixels` (n, C, h, w), `inside` (n, 4).
int64_t cut_patches(const image::Image& picture, const Cut& cut, uint8_t* pixels, int32_t* inside);

// The cut's jitters with mean_grey filled in.
std::vector<Jitter> measure_jitter(const image::Image& picture, const Cut& cut);

}  // namespace dbps::data

// The attention that a model pays to each tile of a slide, or to each patch of a picture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/draw.h"

namespace dbps::report {

enum class Chosen : uint8_t { kNo, kSalient, kSubSalient };
const char* chosen_name(Chosen chosen);  // "", "salient", "sub-salient"

struct HeatTile {
  float x = 0;  // upper left corner, pixels of the source (level 0)
  float y = 0;
  float score = 0;   // head-mean attention of one softmax over all tiles
  int32_t rank = 0;  // by score, from 1 on; of equals the lower number first
  Chosen chosen = Chosen::kNo;
};

// 20 bytes a tile, and 4 for their order. Immutable but for what fills it.
struct HeatMap {
  std::string id;
  double width = 0;  // of the source, pixels (level 0)
  double height = 0;
  double tile_width = 0;  // pixels of the source
  double tile_height = 0;
  double mpp = 0;               // microns a pixel of the source; 0: unknown
  std::vector<HeatTile> tiles;  // by number in the bag
  std::vector<int32_t> order;   // their numbers, best first

  // Attention in units of its mean, to which all tiles would come that are paid the same.
  double times_mean(const HeatTile& tile) const {
    return static_cast<double>(tile.score) * static_cast<double>(tiles.size());
  }
};

// Fills in `rank` and `order` from the scores.
void rank_tiles(HeatMap& map);

// Dark blue to pale yellow as `share` goes from 0 to 1: as much lighter at each step, to
// colour-blind eyes and in grey too (a straight line of lightness in Oklab).
image::Colour heat_colour(double share);

// How attention becomes colour: by its logarithm, from `low` to `high` times the mean.
struct HeatScale {
  double low = 0.5;
  double high = 2;
  image::Colour colour(double times_mean) const;
};

// From the twentieth part of tiles that is paid least to the most; it spans at least half to twice
// the mean, so that attention that hardly differs looks so.
HeatScale scale_of(const HeatMap& map);

}  // namespace dbps::report

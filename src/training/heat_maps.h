// Heat maps of what a model looked at, from a prediction that tells the attention of every patch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "data/batch.h"
#include "data/whole_bag.h"
#include "image/image.h"
#include "report/heat_map.h"
#include "training/prediction.h"

namespace dbps::training {

// Attention over a slide or another picture, and where its pixels come from.
struct Attended {
  report::HeatMap map;
  std::function<image::Image()> thumbnail;           // of the whole
  std::function<image::Image(int64_t number)> tile;  // null: only vectors are known
};

// Of a slide, or of a bag of features that knows its tiles' places. Borrows its store. The
// thumbnail is that of the slide's file where it lies where it lay at ingest, and has a level that
// is small enough; else the store's own tiles, laid out; of features white. Throws DataError for
// features without places.
Attended attended_slide(const data::WholeBag& slide, const Prediction& prediction, int threads);
// Of a picture that was cut into the patches of `bag`. Borrows both.
Attended attended_picture(const image::Image& picture, const data::HostBag& bag,
                          const Prediction& prediction);

struct PictureStyle {
  std::string format = "png";  // or "jpg"
  int64_t longest = 2048;      // pixels of an overlay
};

// Write into `folder`, which is made, files that begin with `name`. Throw DataError for tiles that
// cannot be read, RuntimeFault where a file cannot be written.
//
// NAME-overlay.FORMAT and NAME-top.FORMAT, for people.
void write_heat_pictures(const std::filesystem::path& folder, const std::string& name,
                         const Attended& attended, const PictureStyle& style);
// Those as PNG, and for other programs NAME-heat.tif, NAME.geojson and NAME-scores.csv.
void write_heat_map(const std::filesystem::path& folder, const std::string& name,
                    const Attended& attended);

// An id as the beginning of a file's name: its separators become "_".
std::string file_name_of(std::string id);

}  // namespace dbps::training

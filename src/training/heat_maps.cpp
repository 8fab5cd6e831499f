#include "training/heat_maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "data/slide_picture.h"
#include "image/codec.h"
#include "image/thumbnail.h"
#include "report/contact_sheet.h"
#include "report/heat_files.h"
#include "report/heat_picture.h"

namespace dbps::training {
namespace {

namespace fs = std::filesystem;

constexpr int kQuality = 90;
constexpr int64_t kMostPixels = int64_t{1} << 28;  // of a file that are read for a thumbnail
constexpr int64_t kSmallest = 512;                 // side of the white picture of features

void take_scores(const Prediction& prediction, report::HeatMap& map) {
  DBPS_CHECK(prediction.attention.size() == map.tiles.size(), "attention of every patch");
  for (size_t i = 0; i < map.tiles.size(); ++i) map.tiles[i].score = prediction.attention[i];
  for (const SelectedPatch& patch : prediction.salient) {
    map.tiles[patch.index].chosen = report::Chosen::kSalient;
  }
  for (const SelectedPatch& patch : prediction.sub_salient) {
    map.tiles[patch.index].chosen = report::Chosen::kSubSalient;
  }
  report::rank_tiles(map);
}

double largest_cell(const store::Bag& bag) {
  return static_cast<double>(std::max(bag.width, bag.height)) /
         static_cast<double>(data::kLongestPicture);
}

// Null where it is gone, is another one, or has no level that is small enough to be read in
// seconds.
std::unique_ptr<image::Slide> find_file(const data::WholeBag& slide) {
  const store::Bag& bag = slide.first_part();
  try {
    auto file = image::open_slide(slide.store().source(slide.place(0).bag).path);
    const image::SlideLevel& size = file->info().levels.front();
    const bool is_it = size.width == bag.width && size.height == bag.height;
    if (is_it && image::thumbnail_cost(file->info(), largest_cell(bag)) <= kMostPixels) return file;
  } catch (const DataError&) {
  }
  return nullptr;
}

image::Image thumbnail_of(const data::WholeBag& slide, int threads) {
  const store::Bag& bag = slide.first_part();
  if (slide.store().settings().kind == store::Kind::kFeatures) {
    const double zoom =
        static_cast<double>(kSmallest) / static_cast<double>(std::max(bag.width, bag.height));
    const auto side = [&](int64_t pixels) {
      return std::max<int64_t>(1, std::llround(static_cast<double>(pixels) * zoom));
    };
    image::Image white(side(bag.width), side(bag.height), 3);
    std::fill(white.pixels.begin(), white.pixels.end(), uint8_t{255});
    return white;
  }
  if (const std::unique_ptr<image::Slide> file = find_file(slide)) {
    try {
      return image::make_thumbnail(*file, largest_cell(bag)).image;
    } catch (const DataError& error) {
      log::warning("{}: drawn from the store's tiles, since {}", bag.id, error.what());
    }
  }
  return data::lay_out_tiles(slide, threads);
}

image::Image crop(const image::Image& picture, const data::HostBag& bag, int64_t number) {
  image::Image part(std::max<int64_t>(1, std::llround(bag.patch_width_source)),
                    std::max<int64_t>(1, std::llround(bag.patch_height_source)), picture.channels);
  image::paste(picture, -std::llround(bag.x[number]), -std::llround(bag.y[number]), part);
  return part;
}

void write_picture(const fs::path& path, const image::Image& picture) {
  const std::vector<uint8_t> bytes = path.extension() == ".png"
                                         ? image::encode_png(picture)
                                         : image::encode_jpeg(picture, kQuality);
  write_file_atomic(path, std::span<const uint8_t>(bytes));
}

void write_sheet(const fs::path& path, const Attended& attended) {
  if (!attended.tile) return;
  const report::HeatMap& map = attended.map;
  std::vector<image::Image> tiles;
  for (size_t i = 0; i < std::min<size_t>(report::kSheetTiles, map.order.size()); ++i) {
    tiles.push_back(attended.tile(map.order[i]));
  }
  write_picture(path, report::draw_contact_sheet(tiles, map));
}

}  // namespace

Attended attended_slide(const data::WholeBag& slide, const Prediction& prediction, int threads) {
  const store::Bag& bag = slide.first_part();
  const store::Settings& settings = slide.store().settings();
  if (bag.width == 0 || settings.tile_size == 0) {
    throw DataError(
        fmt::format("{}: no map can be drawn: its store does not say where its tiles lie", bag.id));
  }
  Attended attended;
  report::HeatMap& map = attended.map;
  map.id = bag.id;
  map.width = static_cast<double>(bag.width);
  map.height = static_cast<double>(bag.height);
  map.tile_width = map.tile_height = static_cast<double>(settings.tile_size) * bag.downsample;
  map.mpp = bag.mpp / bag.downsample;
  map.tiles.resize(static_cast<size_t>(slide.num_tiles()));
  for (int64_t i = 0; i < slide.num_tiles(); ++i) {
    const store::Tile& tile = slide.tile(i);
    map.tiles[i].x = static_cast<float>(tile.x);
    map.tiles[i].y = static_cast<float>(tile.y);
  }
  take_scores(prediction, map);
  attended.thumbnail = [slide, threads] { return thumbnail_of(slide, threads); };
  if (settings.kind == store::Kind::kTiles) {
    attended.tile = [slide](int64_t number) { return data::read_tile(slide, number); };
  }
  return attended;
}

Attended attended_picture(const image::Image& picture, const data::HostBag& bag,
                          const Prediction& prediction) {
  Attended attended;
  report::HeatMap& map = attended.map;
  map.id = bag.id;
  map.width = static_cast<double>(picture.width);
  map.height = static_cast<double>(picture.height);
  map.tile_width = prediction.patch_width;
  map.tile_height = prediction.patch_height;
  for (size_t i = 0; i < bag.x.size(); ++i) map.tiles.push_back({bag.x[i], bag.y[i]});
  take_scores(prediction, map);
  attended.thumbnail = [&picture] { return picture; };
  attended.tile = [&picture, &bag](int64_t number) { return crop(picture, bag, number); };
  return attended;
}

void write_heat_pictures(const fs::path& folder, const std::string& name, const Attended& attended,
                         const PictureStyle& style) {
  make_folders(folder);
  const report::HeatScale scale = report::scale_of(attended.map);
  write_picture(folder / fmt::format("{}-overlay.{}", name, style.format),
                report::draw_overlay(attended.thumbnail(), attended.map, scale, style.longest));
  write_sheet(folder / fmt::format("{}-top.{}", name, style.format), attended);
}

void write_heat_map(const fs::path& folder, const std::string& name, const Attended& attended) {
  const report::HeatMap& map = attended.map;
  const report::HeatScale scale = report::scale_of(map);
  write_heat_pictures(folder, name, attended, {"png", data::kLongestPicture});
  report::write_heat_tiff(folder / (name + "-heat.tif"), map, scale);
  report::write_geojson(folder / (name + ".geojson"), map);
  report::write_scores_csv(folder / (name + "-scores.csv"), map);
}

std::string file_name_of(std::string id) {
  std::replace(id.begin(), id.end(), '/', '_');
  return id;
}

}  // namespace dbps::training

#include "report/heat_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "base/files.h"
#include "image/pyramid.h"
#include "report/heat_picture.h"
#include "report/palette.h"

namespace dbps::report {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = 1 << 20;  // bytes that are gathered before they are written
constexpr int64_t kPixelsATile = 8;
constexpr int64_t kTiffTile = 256;

// Lines of a file, one a tile and some around them.
class Lines {
 public:
  explicit Lines(const Append& append) : append_(append) {}

  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    if (text_.size() >= kPiece) flush();
  }
  void flush() {
    append_(text_);
    text_.clear();
  }

 private:
  const Append& append_;
  std::string text_;
};

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Of a score that is no number, which JSON does not know.
std::string json_number(double value) {
  return std::isfinite(value) ? fmt::format("{:.7g}", value) : "null";
}

std::string class_of(Chosen chosen) {
  if (chosen == Chosen::kNo) return "";
  const image::Colour colour = colour_of(chosen);
  return fmt::format(R"(,"classification":{{"name":"{}","color":[{},{},{}]}})", chosen_name(chosen),
                     colour[0], colour[1], colour[2]);
}

int levels_of(int64_t side) {
  int levels = 1;
  while (side > kTiffTile) {
    side = (side + 1) / 2;
    ++levels;
  }
  return levels;
}

}  // namespace

void write_scores_csv(const fs::path& path, const HeatMap& map) {
  write_file_atomic(path, [&](const Append& append) {
    Lines lines(append);
    lines.add("index,x,y,width,height,score,rank,selected\n");
    for (size_t i = 0; i < map.tiles.size(); ++i) {
      const HeatTile& tile = map.tiles[i];
      lines.add("{},{},{},{},{},{},{},{}\n", i, double{tile.x}, double{tile.y}, map.tile_width,
                map.tile_height, tile.score, tile.rank, chosen_name(tile.chosen));
    }
    lines.flush();
  });
}

void write_geojson(const fs::path& path, const HeatMap& map) {
  write_file_atomic(path, [&](const Append& append) {
    Lines lines(append);
    lines.add(R"({{"type":"FeatureCollection","name":{},"features":[)", quoted(map.id));
    for (size_t i = 0; i < map.tiles.size(); ++i) {
      const HeatTile& tile = map.tiles[i];
      const double x = tile.x, y = tile.y;
      const double right = x + map.tile_width, bottom = y + map.tile_height;
      lines.add(R"({}
{{"type":"Feature","geometry":{{"type":"Polygon","coordinates":)"
                R"([[[{},{}],[{},{}],[{},{}],[{},{}],[{},{}]]]}},)",
                i > 0 ? "," : "", x, y, right, y, right, bottom, x, bottom, x, y);
      lines.add(R"("properties":{{"objectType":"detection","name":"tile {}"{},)"
                R"("measurements":{{"attention":{},"attention, times the mean":{},"rank":{}}}}}}})",
                i, class_of(tile.chosen), json_number(tile.score),
                json_number(map.times_mean(tile)), tile.rank);
    }
    lines.add("\n]}}\n");
    lines.flush();
  });
}

void write_heat_tiff(const fs::path& path, const HeatMap& map, const HeatScale& scale) {
  const auto pixel = std::max<int64_t>(
      1, static_cast<int64_t>(std::min(map.tile_width, map.tile_height)) / kPixelsATile);
  const auto side = [&](double length) {
    return static_cast<int64_t>(std::ceil(length / static_cast<double>(pixel)));
  };
  image::PyramidOptions options;
  options.width = side(map.width);
  options.height = side(map.height);
  options.tile = kTiffTile;
  options.shrink = 2;
  options.levels = levels_of(std::max(options.width, options.height));
  options.quality = 0;
  options.mpp = map.mpp * static_cast<double>(pixel);
  make_file_atomic(path, [&](const fs::path& temporary) {
    image::PyramidWriter writer(temporary, options);
    for (int64_t top = 0; top < options.height; top += kTiffTile) {
      image::Image band(options.width, std::min(kTiffTile, options.height - top), 3);
      std::fill(band.pixels.begin(), band.pixels.end(), uint8_t{255});
      const double zoom = 1 / static_cast<double>(pixel);
      paint_heat(map, scale, zoom, zoom, top, band);
      writer.write(band);
    }
    writer.finish();
  });
}

}  // namespace dbps::report

#include "ingest/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/error.h"

namespace dbps::ingest {
namespace {

store::Settings settings_of_tiles(const IngestOptions& options, store::Settings settings) {
  const auto require = [](bool holds, const std::string& message) {
    if (!holds) throw ConfigError(message);
  };
  const store::TileSettings& tissue = options.tissue;
  require(options.channels == 3 && options.longest == 0,
          "--grey and --longest are for pictures: leave them out with --kind tiles");
  require(8 <= options.tile_size && options.tile_size <= 8192,
          fmt::format("--tile-size {} lies outside 8 .. 8192", options.tile_size));
  require(0 <= tissue.overlap && tissue.overlap < options.tile_size,
          fmt::format("--overlap {} must lie below the tile's side, {}", tissue.overlap,
                      options.tile_size));
  require(options.mpp == 0 || options.level < 0,
          "--level and --mpp or --magnification exclude "
          "each other");
  require(options.mpp >= 0 && options.slide_mpp >= 0, "microns a pixel are above 0");
  require(-1 <= tissue.threshold && tissue.threshold <= 254,
          fmt::format("--tissue-threshold {} lies outside 0 .. 254", tissue.threshold));
  require(0 <= tissue.foreground && tissue.foreground <= 1,
          fmt::format("--foreground {} lies outside 0 .. 1", tissue.foreground));
  require(tissue.specks >= 0 && tissue.holes >= 0, "--specks and --holes cannot be negative");
  const bool given = !options.coordinates.empty();
  require(!given || (options.mpp == 0 && options.level < 0 && tissue == store::TileSettings{}),
          "--coords says which tiles to keep, and of which scale: leave out --mpp, "
          "--magnification, --level, --overlap and what finds tissue");
  settings.kind = store::Kind::kTiles;
  settings.quality = options.codec == store::Codec::kPng ? 0 : options.quality;
  settings.tile_size = options.tile_size;
  settings.mpp = options.mpp;
  settings.tiles = tissue;
  settings.tiles.level = std::max(0, options.level);
  settings.tiles.given = given ? 1 : 0;
  return settings;
}

}  // namespace

store::Settings settings_of(const IngestOptions& options) {
  if (options.quality < 1 || options.quality > 100) {
    throw ConfigError(fmt::format("--quality {} lies outside 1 .. 100", options.quality));
  }
  if (options.longest < 0) {
    throw ConfigError(fmt::format("--longest {} is negative", options.longest));
  }
  if (options.longest > 0 && options.codec == store::Codec::kKeep) {
    throw ConfigError(
        "--longest makes new pictures, --codec keep passes the old ones through: choose --codec "
        "jpeg or png");
  }
  store::Settings settings;
  settings.codec = options.codec;
  settings.channels = options.channels;
  if (options.kind == store::Kind::kTiles) return settings_of_tiles(options, settings);
  settings.quality = options.codec == store::Codec::kJpeg ? options.quality : 0;
  settings.longest = options.longest;
  return settings;
}

IngestOptions options_of(const store::Settings& settings) {
  IngestOptions options;
  options.kind = store::Kind::kTiles;
  options.codec = settings.codec;
  if (settings.quality > 0) options.quality = settings.quality;
  options.tile_size = settings.tile_size;
  options.mpp = settings.mpp;
  if (settings.mpp == 0) options.level = settings.tiles.level;
  options.tissue = settings.tiles;
  options.tissue.level = 0;
  options.tissue.given = 0;
  return options;
}

}  // namespace dbps::ingest

// Slides as bags: tiles of their tissue, the scanner's own JPEG tiles where the grid agrees.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"
#include "image/codec.h"
#include "image/draw.h"
#include "image/resize.h"
#include "image/slide.h"
#include "image/tile.h"
#include "ingest/bag_maker.h"
#include "ingest/coordinate_grid.h"
#include "ingest/pixel_budget.h"
#include "ingest/tile_grid.h"
#include "store/manifest.h"
#include "store/slide_coordinates.h"
#include "store/tile_file.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;

constexpr int64_t kLongestGrid = 2048;  // pixels of the picture of the grid
constexpr int64_t kTilesATurn = 64;     // and thread: then they go to the disk
constexpr image::Colour kKept = {0, 160, 60};

// Which tiles of a slide to keep.
struct Choice {
  TileScale scale;
  TileGrid grid;
  std::string tissue;  // cells of the report
  std::string threshold;
};

// Makes the tiles of one slide, on a slide of its own.
class TileReader {
 public:
  TileReader(const fs::path& path, const Choice& choice, const store::Settings& settings)
      : slide_(image::open_slide(path)),
        name_(path.string()),
        scale_(choice.scale),
        settings_(settings) {
    const image::JpegTiles* jpeg = slide_->jpeg_tiles(scale_.level);
    const bool agrees =
        jpeg != nullptr && jpeg->width == settings.tile_size && jpeg->height == settings.tile_size;
    if (agrees && choice.grid.is_slides_own && settings.codec == store::Codec::kKeep) {
      copied_ = jpeg;
    }
  }

  // Null where tiles are encoded anew.
  const image::JpegTiles* copied() const { return copied_; }
  bool in_bands() const { return slide_->info().in_bands; }

  // The encoded tile; empty where the slide has no pixels there.
  Bytes read(const GridTile& tile, int64_t side) {
    if (copied_ != nullptr) return copy(tile);
    image::Image pixels(side, side, 3);
    slide_->read(scale_.level, tile.x, tile.y, pixels);
    if (side != settings_.tile_size) {
      pixels = image::resize(pixels, settings_.tile_size, settings_.tile_size);
    }
    return encode_tile(pixels, settings_);
  }

 private:
  // A tile that does not decode is found now and not in the middle of a training.
  Bytes copy(const GridTile& tile) {
    Bytes bytes = slide_->read_jpeg_tile(scale_.level, tile.column, tile.row);
    if (bytes.empty()) return bytes;
    decoded_.width = decoded_.height = settings_.tile_size;
    image::decode_tile(bytes, fmt::format("{}, tile at ({}, {})", name_, tile.x, tile.y),
                       {copied_->tables, copied_->photometric}, decoded_);
    return bytes;
  }

  std::unique_ptr<image::Slide> slide_;
  const std::string name_;
  const TileScale& scale_;
  const store::Settings& settings_;
  const image::JpegTiles* copied_ = nullptr;
  image::Image decoded_;
};

class SlideMaker final : public BagMaker {
 public:
  SlideMaker(const SourceList& sources, const fs::path& store, const IngestOptions& options,
             int jobs)
      : store_(store),
        coordinates_(options.coordinates),
        slide_mpp_(options.slide_mpp),
        draws_(options.draw),
        settings_(settings_of(options)) {
    // Few slides: threads share each of them.
    const auto count = std::max<int64_t>(1, static_cast<int64_t>(sources.pictures.size()));
    threads_ = static_cast<int>(std::max<int64_t>(1, jobs / count));
    level_was_asked_for_ = options.level >= 0;
    const auto column = std::find(sources.columns.begin(), sources.columns.end(), "mpp");
    if (column != sources.columns.end()) mpp_column_ = column - sources.columns.begin();
  }

  const store::Settings& settings() const override { return settings_; }

  std::vector<std::string> report_columns() const override {
    return {"width",  "height",    "mpp",        "format",     "level", "downsample",
            "tissue", "threshold", "grid_tiles", "kept_tiles", "copied"};
  }

  uint64_t work(const SourcePicture& source) const override {
    std::error_code unreadable;
    const uintmax_t bytes = fs::file_size(source.path, unreadable);
    return unreadable ? 0 : bytes;
  }

  MadeBag make(const SourcePicture& source, store::Writer& writer) override {
    store::Source origin = describe_source(source.path);
    const std::unique_ptr<image::Slide> slide = image::open_slide(source.path);
    const image::SlideInfo& info = slide->info();
    const Choice choice = coordinates_.empty() ? choose_by_tissue(source, *slide)
                                               : choose_by_coordinates(source, *slide);
    const TileScale& scale = choice.scale;

    store::TileFile tiles(store_);
    const bool copied = write_tiles(source.path, choice, tiles, origin);
    origin.hash = fmt::format("crc32c:{:08x}", store::file_crc32c(source.path));
    store::Bag bag;
    bag.id = source.id;
    bag.width = info.levels[0].width;
    bag.height = info.levels[0].height;
    bag.level = scale.level;
    bag.downsample = scale.downsample();
    bag.mpp = scale.mpp;
    writer.append(bag, origin, tiles);

    MadeBag made{origin.bytes, tiles.bytes(), {}, {}};
    made.modes.push_back(copied ? "JPEG tiles copied as they are" : "tiles encoded anew");
    if (!info.mode.empty()) made.modes.push_back(info.mode);
    made.report = {fmt::to_string(bag.width),
                   fmt::to_string(bag.height),
                   fmt::format("{:.6g}", scale.mpp / scale.downsample()),
                   info.format,
                   fmt::to_string(bag.level),
                   fmt::format("{:.6g}", bag.downsample),
                   choice.tissue,
                   choice.threshold,
                   fmt::to_string(choice.grid.columns * choice.grid.rows),
                   fmt::to_string(tiles.tiles().size()),
                   copied ? "yes" : "no"};
    return made;
  }

 private:
  // What a person says counts more than what the file does.
  double mpp_of(const SourcePicture& source, const image::SlideInfo& info,
                const std::string& name) const {
    const std::string given = mpp_column_ >= 0 ? source.values[mpp_column_] : "";
    if (!given.empty()) {
      double mpp = 0;
      const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), mpp);
      if (error != std::errc() || end != given.data() + given.size() || !(mpp > 0)) {
        throw DataError(fmt::format("{}: mpp '{}' in its row is no number above 0", name, given));
      }
      return mpp;
    }
    const double mpp = info.mpp > 0 ? info.mpp : slide_mpp_;
    if (mpp > 0 || level_was_asked_for_ || !coordinates_.empty()) return mpp;
    throw DataError(fmt::format(
        "{}: it does not say how many microns a pixel measures: give a column mpp in the CSV{} "
        "--slide-mpp for all such slides{}",
        name, settings_.mpp > 0 ? " or" : ",",
        settings_.mpp > 0 ? "" : ", or --level 0 to take pixels whatever they measure"));
  }

  // Thumbnails of all slides together are bounded.
  PixelBudget::Share share_of(const image::SlideInfo& info, double cell) {
    const image::SlideLevel& size = info.levels[0];
    return {cells_,
            static_cast<double>(size.width) / cell * static_cast<double>(size.height) / cell};
  }

  double tile_side(const TileScale& scale) const {  // level-0 pixels
    return static_cast<double>(settings_.tile_size) * scale.downsample();
  }

  Choice choose_by_tissue(const SourcePicture& source, image::Slide& slide) {
    const std::string name = source.path.string();
    const image::SlideInfo& info = slide.info();
    Choice choice;
    choice.scale = choose_scale(info, mpp_of(source, info, name), settings_, name);
    const double side = tile_side(choice.scale);
    const double cell = cell_for(info, side);
    const PixelBudget::Share share = share_of(info, cell);
    const image::Thumbnail thumbnail = image::make_thumbnail(slide, cell);
    const TissueMask mask =
        find_tissue(thumbnail, settings_.tiles, std::pow(side / thumbnail.cell, 2));
    choice.grid = keep_tiles(info, choice.scale, settings_, mask);
    choice.tissue = fmt::format("{:.4f}", mask.share());
    choice.threshold = fmt::to_string(mask.threshold);
    draw_mask(source.id, mask);
    draw_grid(source.id, thumbnail, choice);
    require_tiles(choice.grid, source.id, name, mask.is_grey);
    return choice;
  }

  Choice choose_by_coordinates(const SourcePicture& source, image::Slide& slide) {
    const fs::path file = find_coordinates(coordinates_, source.id);
    const store::SlideCoordinates coordinates = store::read_slide_coordinates(file);
    const image::SlideInfo& info = slide.info();
    const double mpp = mpp_of(source, info, source.path.string());
    Choice choice;
    choice.scale = scale_of_coordinates(coordinates.frame, info, mpp, settings_, file.string());
    choice.grid = grid_of_coordinates(coordinates, info, choice.scale, settings_, file.string());
    const double cell = cell_for(info, tile_side(choice.scale));
    const PixelBudget::Share share = share_of(info, cell);
    draw_grid(source.id, image::make_thumbnail(slide, cell), choice);
    return choice;
  }

  void require_tiles(const TileGrid& grid, const std::string& id, const std::string& name,
                     bool is_grey) const {
    if (grid.columns * grid.rows == 0) {
      throw DataError(
          fmt::format("{}: smaller than one tile of {} x {} pixels", name, grid.side, grid.side));
    }
    if (grid.kept.empty()) {
      throw DataError(fmt::format(
          "{}: no tissue found{}{}", name,
          is_grey ? ", which is told by its colour: the slide has none; --foreground 0 keeps all"
                  : "",
          draws_ ? "; look at " + picture_of(id, "mask").string() : ""));
    }
  }

  // Whether they were copied; says so in `origin`.
  bool write_tiles(const fs::path& path, const Choice& choice, store::TileFile& tiles,
                   store::Source& origin) const {
    const TileGrid& grid = choice.grid;
    std::vector<std::unique_ptr<TileReader>> readers;
    readers.push_back(std::make_unique<TileReader>(path, choice, settings_));
    const int threads = readers[0]->in_bands() ? 1 : threads_;
    while (static_cast<int>(readers.size()) < threads) {
      readers.push_back(std::make_unique<TileReader>(path, choice, settings_));
    }
    const image::JpegTiles* copied = readers[0]->copied();
    const auto count = static_cast<int64_t>(grid.kept.size());
    const int64_t turn = kTilesATurn * threads;
    for (int64_t first = 0; first < count; first += turn) {
      std::vector<Bytes> encoded(static_cast<size_t>(std::min(turn, count - first)));
      parallel_for(threads, threads, [&](int64_t thread) {
        for (size_t i = static_cast<size_t>(thread); i < encoded.size(); i += threads) {
          encoded[i] = readers[thread]->read(grid.kept[first + i], grid.side);
        }
      });
      for (size_t i = 0; i < encoded.size(); ++i) {
        if (encoded[i].empty()) continue;
        const GridTile& tile = grid.kept[first + i];
        tiles.add(encoded[i], tile.level0.x, tile.level0.y);
      }
    }
    if (tiles.tiles().empty()) throw DataError(path.string() + ": its tiles of tissue are empty");
    if (copied == nullptr) return false;
    origin.jpeg_tables = copied->tables;
    origin.photometric = copied->photometric;
    return true;
  }

  // Below the store also where an id climbs, as the path of a CSV's row may.
  fs::path picture_of(const std::string& id, const char* what) const {
    fs::path path = store_ / "slides";
    for (const fs::path& part : fs::path(id).relative_path()) path /= part == ".." ? "up" : part;
    return path.string() + fmt::format("-{}.png", what);
  }

  // For people's eyes: what was taken for tissue, and which tiles were kept.
  void draw_mask(const std::string& id, const TissueMask& mask) const {
    if (!draws_) return;
    image::Image tissue(mask.width, mask.height, 1);
    for (size_t i = 0; i < mask.is_tissue.size(); ++i) tissue.pixels[i] = 255 * mask.is_tissue[i];
    write_picture(picture_of(id, "mask"), tissue);
  }

  static void write_picture(const fs::path& file, const image::Image& picture) {
    make_folders(file.parent_path());
    write_file_atomic(file, image::encode_png(picture));
  }

  void draw_grid(const std::string& id, const image::Thumbnail& thumbnail,
                 const Choice& choice) const {
    if (!draws_) return;
    image::Image picture = thumbnail.image;
    const double longest = static_cast<double>(std::max(picture.width, picture.height));
    const double zoom = std::min(1.0, static_cast<double>(kLongestGrid) / longest);
    const auto scaled = [&](double length) { return std::llround(length * zoom); };
    if (zoom < 1) {
      picture = image::resize(picture, std::max<int64_t>(1, scaled(picture.width)),
                              std::max<int64_t>(1, scaled(picture.height)));
    }
    const double cells = choice.scale.level_downsample / thumbnail.cell;  // a pixel of the level
    const double side = static_cast<double>(choice.grid.side) * cells;
    const int64_t drawn = std::max<int64_t>(1, scaled(side));
    for (const GridTile& tile : choice.grid.kept) {
      const int64_t x = scaled(static_cast<double>(tile.x) * cells);
      const int64_t y = scaled(static_cast<double>(tile.y) * cells);
      image::draw_frame(picture, x, y, drawn, drawn, 1, kKept);
    }
    write_picture(picture_of(id, "grid"), picture);
  }

  const fs::path store_;
  const fs::path coordinates_;  // the folder of them; empty: tiles are chosen by tissue
  const double slide_mpp_;
  const bool draws_;
  const store::Settings settings_;
  PixelBudget cells_{kMostCells};
  int threads_ = 1;
  bool level_was_asked_for_ = false;
  std::ptrdiff_t mpp_column_ = -1;
};

}  // namespace

std::unique_ptr<BagMaker> make_slide_maker(const SourceList& sources, const fs::path& store,
                                           const IngestOptions& options, int jobs) {
  return std::make_unique<SlideMaker>(sources, store, options, jobs);
}

}  // namespace dbps::ingest

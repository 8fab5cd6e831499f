#include "report/contact_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "image/draw.h"
#include "image/lettering.h"
#include "report/fit_picture.h"
#include "report/palette.h"

namespace dbps::report {
namespace {

constexpr int64_t kColumns = 6;
constexpr int64_t kSide = 200;  // pixels of a tile's longer side
constexpr int64_t kFrame = 4;
constexpr int64_t kGap = 14;
constexpr int64_t kDot = 2;
constexpr int64_t kLine = image::kLineDots * kDot;
constexpr int64_t kCellWidth = kSide + 2 * kFrame + kGap;
constexpr int64_t kCellHeight = kSide + 2 * kFrame + 2 * kLine + kGap;
constexpr int64_t kHead = 2 * kLine + kGap;

void draw_tile(image::Image& sheet, int64_t x, int64_t y, const image::Image& picture,
               const HeatTile& tile, double times_mean) {
  const image::Image shown = bring_to_side(picture, kSide);
  image::draw_frame(sheet, x, y, shown.width + 2 * kFrame, shown.height + 2 * kFrame, kFrame,
                    colour_of(tile.chosen));
  paste(shown, x + kFrame, y + kFrame, sheet);
  const int64_t below = y + kSide + 2 * kFrame + kLine / 4;
  image::write_text(sheet, x, below, kDot, kInk,
                    fmt::format("{}: {} x mean", tile.rank, times_text(times_mean, 3)));
  image::write_text(sheet, x, below + kLine, kDot, kFaintInk,
                    fmt::format("{:.0f}, {:.0f}", tile.x, tile.y));
}

}  // namespace

image::Image draw_contact_sheet(const std::vector<image::Image>& pictures, const HeatMap& map) {
  const auto count = static_cast<int64_t>(pictures.size());
  DBPS_CHECK(count <= std::min<int64_t>(kSheetTiles, map.order.size()), "a sheet of fewer tiles");
  const int64_t rows = (count + kColumns - 1) / kColumns;
  image::Image sheet(kColumns * kCellWidth + kGap, kHead + rows * kCellHeight + kGap, 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), uint8_t{255});
  int64_t x = image::write_text(sheet, kGap, kGap, kDot, kInk, "most attention of ");
  x = image::write_text(sheet, x, kGap, kDot, kInk, fmt::format("{}: ", map.tiles.size()));
  for (const Chosen chosen : {Chosen::kSalient, Chosen::kSubSalient}) {
    image::tint(sheet, x, kGap, 7 * kDot, 7 * kDot, colour_of(chosen), 1);
    x = image::write_text(sheet, x + 11 * kDot, kGap, kDot, kInk, chosen_name(chosen)) + 6 * kDot;
  }
  for (int64_t i = 0; i < count; ++i) {
    const HeatTile& tile = map.tiles[map.order[i]];
    draw_tile(sheet, kGap + i % kColumns * kCellWidth, kHead + i / kColumns * kCellHeight,
              pictures[i], tile, map.times_mean(tile));
  }
  return sheet;
}

}  // namespace dbps::report

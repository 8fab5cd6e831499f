// What a configuration must and must not say of sizes, by what the store holds.
#include <fmt/format.h>

#include <string>

#include "base/error.h"
#include "config/schema.h"

namespace dbps::config {
namespace {

// Keys that speak of whole pictures, and their values for tiles.
struct IdleKey {
  const char* table;
  const char* name;
  Value value;
};

const std::vector<IdleKey>& idle_for_tiles() {
  static const std::vector<IdleKey> keys = {
      {"data", "height", {int64_t{0}, "", false}},
      {"data", "width", {int64_t{0}, "", false}},
      {"data", "resize", {"none", "", false}},
      {"data", "scale", {1.0, "", false}},
      {"data", "edge", {"drop", "", false}},
      {"data", "fast_decode", {false, "", false}},
      {"augment", "translate", {int64_t{0}, "", false}},
      {"augment", "erase", {"none", "", false}},
  };
  return keys;
}

}  // namespace

void fit_pictures(const Config& config) { check_sizes(config, written_in(config)); }

void fit_tiles(Config& config, int64_t tile_size) {
  if (selection::method_of(config.selection).takes_whole_picture) {
    refuse(
        written_in(config), "selection.method",
        fmt::format("= \"{}\" takes a picture whole, and data.store holds tiles: give \"all\" for "
                    "every tile",
                    config.selection.method));
  }
  for (const IdleKey& idle : idle_for_tiles()) {
    const Key* key = find_key(idle.table, idle.name);
    DBPS_CHECK(key != nullptr, idle.name);
    leave_idle(config, *key, idle.value, "speaks of whole pictures, and data.store holds tiles");
  }
  for (const auto& [key, size] : {std::pair{"data.patch_size", &config.data.patch_size},
                                  std::pair{"data.patch_stride", &config.data.patch_stride}}) {
    if (*size != 0 && *size != tile_size) {
      refuse(written_in(config), key,
             fmt::format("= {}, but data.store holds tiles of {} pixels: leave it out", *size,
                         tile_size));
    }
    *size = tile_size;
  }
}

}  // namespace dbps::config

// With feature vectors there are no pixels: what only speaks of those is off, or refused.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "config/schema.h"

namespace dbps::config {
namespace {

constexpr std::array<std::string_view, 10> kPixelKeys = {
    "height",       "width", "resize", "scale", "patch_size",
    "patch_stride", "edge",  "mean",   "std",   "fast_decode"};

bool is_about_pixels(const Key& key) {
  if (key.table == "augment") return !key.planned;
  return key.table == "data" &&
         std::find(kPixelKeys.begin(), kPixelKeys.end(), key.name) != kPixelKeys.end();
}

// The value at which a key does nothing: of an augmentation's strength 0, else the default.
Value idle_value(const Key& key) {
  const Value value = key.get(Config{}, 0);
  if (key.table != "augment") return value;
  if (std::holds_alternative<int64_t>(value.data)) return Value{int64_t{0}, "", false};
  if (std::holds_alternative<double>(value.data)) return Value{0.0, "", false};
  return value;
}

}  // namespace

void leave_idle(Config& config, const Key& key, const Value& idle, const std::string& why) {
  if (key.get(config, 0) == idle) return;
  const auto written = config.places.find(key.full_name());
  if (written != config.places.end()) {
    throw ConfigError(fmt::format("{}: {} = {} {}: leave it out", written->second, key.full_name(),
                                  to_toml(key.get(config, 0)), why));
  }
  key.set(config, 0, idle);
}

void leave_out_pixels(Config& config) {
  if (!model::reads_vectors(config.encoder)) return;
  for (const Key& key : schema()) {
    if (!is_about_pixels(key)) continue;
    leave_idle(config, key, idle_value(key),
               "says something of pixels, of which encoder.kind = \"features\" has none");
  }
}

}  // namespace dbps::config

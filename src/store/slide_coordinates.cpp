#include "store/slide_coordinates.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "store/hdf5_coordinates.h"
#include "store/hdf5_file.h"

namespace dbps::store {
namespace {

constexpr double kMostPixels = 1 << 30;

// 0 where the attribute is not there.
double read_pixels(hid_t set, const char* name) {
  const double pixels = read_number(set, name).value_or(0.0);
  if (!(pixels >= 0.0 && pixels <= kMostPixels)) {
    throw Hdf5Error(fmt::format("the attribute {} = {} is no size in pixels", name, pixels));
  }
  return pixels;
}

double read_downsample(hid_t set, const PatchFrame& frame) {
  const double at_level0 = read_pixels(set, "patch_size_level0");
  if (at_level0 > 0.0 && frame.size > 0) return at_level0 / static_cast<double>(frame.size);
  const auto level = read_number(set, "downsample");
  if (frame.size == 0 || (!level && frame.level > 0)) return 0.0;
  return level.value_or(1.0) * read_number(set, "custom_downsample").value_or(1.0);
}

}  // namespace

PatchFrame read_frame(hid_t location, const char* name) {
  const Handle set = open_dataset(location, name);
  PatchFrame frame;
  frame.size = std::llround(read_pixels(set, "patch_size"));
  frame.level = static_cast<int32_t>(read_pixels(set, "patch_level"));
  frame.width = std::llround(read_pixels(set, "level0_width"));
  frame.height = std::llround(read_pixels(set, "level0_height"));
  frame.downsample = read_downsample(set, frame);
  if (!(frame.downsample >= 0.0 && frame.downsample <= kMostPixels)) {
    throw Hdf5Error(fmt::format("a downsample of {} cannot be", frame.downsample));
  }
  return frame;
}

SlideCoordinates read_slide_coordinates(const std::filesystem::path& path) {
  const QuietErrors quiet;
  try {
    const Handle file = open_hdf5_file(path);
    open_named(file, "coords");
    return {read_places(file, "coords", -1), read_frame(file, "coords")};
  } catch (const Hdf5Error& error) {
    throw DataError(fmt::format("{}: {}", path.string(), error.what()));
  }
}

}  // namespace dbps::store

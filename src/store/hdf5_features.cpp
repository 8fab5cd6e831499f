#include "store/hdf5_features.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "store/hdf5_coordinates.h"
#include "store/hdf5_file.h"
#include "store/hdf5_float.h"

namespace dbps::store {

namespace fs = std::filesystem;
using Shape = std::vector<hsize_t>;

std::vector<Hdf5Bag> hdf5_bags(const fs::path& path) {
  const QuietErrors quiet;
  std::vector<Hdf5Bag> bags;
  try {
    const Handle file = open_hdf5_file(path);
    if (has_dataset(file, "features")) return {};
    for (const std::string& name : names_in(file)) {
      if (!has_group(file, name.c_str())) continue;
      const Handle group = open_group(file, name);
      if (!has_dataset(group, "img")) continue;
      bags.push_back({name, read_word(group, "label").value_or("")});
    }
  } catch (const Hdf5Error&) {
    return {};
  } catch (const DataError&) {
    return {};
  }
  return bags;
}

struct Hdf5Features::State {
  State(const fs::path& path_, const std::string& group_)
      : path(path_),
        name(group_.empty() ? "features" : "img"),
        file(open_hdf5_file(path_)),
        group(open_group(file, group_)),
        set(open_named(group, name)) {
    const Shape shape = shape_of(set, leading);
    if (shape.size() != 2) {
      throw Hdf5Error(fmt::format("'{}' has {} dimensions, not (N, D)", name, shape.size()));
    }
    const Handle type(DBPS_HDF5(H5Dget_type(set)), H5Tclose);
    item_size = static_cast<int64_t>(H5Tget_size(type));
    if (H5Tget_class(type) != H5T_FLOAT || (item_size != 2 && item_size != 4 && item_size != 8)) {
      throw Hdf5Error(fmt::format("'{}' is not of float16, float32 or float64", name));
    }
    if (shape[0] > static_cast<hsize_t>(kMostVectors)) {
      throw Hdf5Error(
          fmt::format("'{}' has {} rows, of which {} are the most", name, shape[0], kMostVectors));
    }
    if (shape[0] > 0 && H5Dget_storage_size(set) == 0) {
      throw Hdf5Error(fmt::format("'{}' was never written", name));
    }
    count = static_cast<int64_t>(shape[0]);
    width = static_cast<int64_t>(shape[1]);
    if (group_.empty() && has_dataset(group, "coords")) {
      places = read_places(group, "coords", count);
      frame = read_frame(group, "coords");
    } else if (!group_.empty() && has_dataset(group, "pos")) {
      places = read_positions(group, count);
    }
  }

  fs::path path;
  const char* name;
  Handle file;
  Handle group;
  Handle set;
  bool leading = false;  // (1, N, D)
  int64_t count = 0;
  int64_t width = 0;
  int64_t item_size = 0;
  std::vector<Place> places;
  PatchFrame frame;
};

Hdf5Features::Hdf5Features(const fs::path& path, const std::string& group) {
  const QuietErrors quiet;
  try {
    state_ = std::make_unique<State>(path, group);
  } catch (const Hdf5Error& error) {
    throw DataError(fmt::format("{}{}: {}", path.string(),
                                group.empty() ? "" : fmt::format(" ('{}')", group), error.what()));
  }
}

Hdf5Features::~Hdf5Features() = default;

int64_t Hdf5Features::count() const { return state_->count; }
int64_t Hdf5Features::width() const { return state_->width; }
int64_t Hdf5Features::item_size() const { return state_->item_size; }
const std::vector<Place>& Hdf5Features::places() const { return state_->places; }
const PatchFrame& Hdf5Features::frame() const { return state_->frame; }

void Hdf5Features::read(int64_t first, int64_t count, void* out) const {
  const QuietErrors quiet;
  Shape start = {static_cast<hsize_t>(first), 0};
  Shape extent = {static_cast<hsize_t>(count), static_cast<hsize_t>(state_->width)};
  if (state_->leading) {
    start.insert(start.begin(), 0);
    extent.insert(extent.begin(), 1);
  }
  try {
    const Handle from(DBPS_HDF5(H5Dget_space(state_->set)), H5Sclose);
    DBPS_HDF5(
        H5Sselect_hyperslab(from, H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr));
    const Handle to(
        DBPS_HDF5(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr)),
        H5Sclose);
    const Handle type = float_type(static_cast<size_t>(state_->item_size));
    DBPS_HDF5(H5Dread(state_->set, type, to, from, H5P_DEFAULT, out));
  } catch (const Hdf5Error& error) {
    throw DataError(fmt::format("{} cannot be read ({})", state_->path.string(), error.what()));
  }
}

}  // namespace dbps::store

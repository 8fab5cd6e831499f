#include "store/hdf5_features.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "store/hdf5_float.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;
using Shape = std::vector<hsize_t>;

Handle open_file(const fs::path& path) {
  open_for_reading(path);
  const Handle access(DBPS_HDF5(H5Pcreate(H5P_FILE_ACCESS)), H5Pclose);
  DBPS_HDF5(H5Pset_file_locking(access, false, true));
  return {DBPS_HDF5(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access)), H5Fclose};
}

std::vector<std::string> names_in(hid_t file) {
  std::vector<std::string> names;
  const auto note = [](hid_t, const char* name, const H5L_info_t*, void* into) -> herr_t {
    static_cast<std::vector<std::string>*>(into)->emplace_back(name);
    return 0;
  };
  DBPS_HDF5(H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, nullptr, note, &names));
  return names;
}

// Whether a dataset of this name lies in the file itself: links that lead to other files are not
// followed.
bool has_dataset(hid_t file, const char* name) {
  if (DBPS_HDF5(H5Lexists(file, name, H5P_DEFAULT)) == 0) return false;
  H5L_info_t link;
  DBPS_HDF5(H5Lget_info(file, name, &link, H5P_DEFAULT));
  return link.type == H5L_TYPE_HARD;
}

Handle open_dataset(hid_t file, const char* name) {
  Handle set(DBPS_HDF5(H5Dopen2(file, name, H5P_DEFAULT)), H5Dclose);
  const Handle how(DBPS_HDF5(H5Dget_create_plist(set)), H5Pclose);
  if (H5Pget_layout(how) == H5D_VIRTUAL || H5Pget_external_count(how) > 0) {
    throw Hdf5Error(fmt::format("'{}' takes its numbers from other files", name));
  }
  return set;
}

// Without a leading 1 before two dimensions.
Shape shape_of(hid_t set, bool& leading) {
  const Handle space(DBPS_HDF5(H5Dget_space(set)), H5Sclose);
  Shape shape(DBPS_HDF5(H5Sget_simple_extent_ndims(space)));
  if (!shape.empty()) DBPS_HDF5(H5Sget_simple_extent_dims(space, shape.data(), nullptr));
  leading = shape.size() == 3 && shape[0] == 1;
  if (leading) shape.erase(shape.begin());
  return shape;
}

std::vector<Place> read_places(hid_t file, hsize_t count) {
  if (!has_dataset(file, "coords")) return {};
  const Handle set = open_dataset(file, "coords");
  bool leading = false;
  const Shape shape = shape_of(set, leading);
  if (shape.size() == 2 && shape[0] == 0) return {};
  if (shape.size() != 2 || shape[1] != 2 || shape[0] != count) {
    throw Hdf5Error(
        fmt::format("'coords' is of shape ({}), not ({}, 2)", fmt::join(shape, ", "), count));
  }
  static_assert(sizeof(Place) == 2 * sizeof(int32_t));
  std::vector<Place> places(count);
  DBPS_HDF5(H5Dread(set, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, places.data()));
  return places;
}

}  // namespace

struct Hdf5Features::State {
  explicit State(const fs::path& path_)
      : path(path_), file(open_file(path_)), set(open_features()) {
    const Shape shape = shape_of(set, leading);
    if (shape.size() != 2) {
      throw Hdf5Error(fmt::format("'features' has {} dimensions, not (N, D)", shape.size()));
    }
    const Handle type(DBPS_HDF5(H5Dget_type(set)), H5Tclose);
    item_size = static_cast<int64_t>(H5Tget_size(type));
    if (H5Tget_class(type) != H5T_FLOAT || (item_size != 2 && item_size != 4 && item_size != 8)) {
      throw Hdf5Error("'features' is not of float16, float32 or float64");
    }
    if (shape[0] > static_cast<hsize_t>(kMostVectors)) {
      throw Hdf5Error(
          fmt::format("'features' has {} rows, of which {} are the most", shape[0], kMostVectors));
    }
    if (shape[0] > 0 && H5Dget_storage_size(set) == 0) {
      throw Hdf5Error("'features' was never written");
    }
    count = static_cast<int64_t>(shape[0]);
    width = static_cast<int64_t>(shape[1]);
    places = read_places(file, shape[0]);
  }

  Handle open_features() const {
    if (has_dataset(file, "features")) return open_dataset(file, "features");
    const std::vector<std::string> names = names_in(file);
    throw Hdf5Error(fmt::format("it has no dataset 'features', but {}",
                                names.empty() ? "nothing" : join_words(names)));
  }

  fs::path path;
  Handle file;
  Handle set;
  bool leading = false;  // (1, N, D)
  int64_t count = 0;
  int64_t width = 0;
  int64_t item_size = 0;
  std::vector<Place> places;
};

Hdf5Features::Hdf5Features(const fs::path& path) {
  const QuietErrors quiet;
  try {
    state_ = std::make_unique<State>(path);
  } catch (const Hdf5Error& error) {
    throw DataError(fmt::format("{}: {}", path.string(), error.what()));
  }
}

Hdf5Features::~Hdf5Features() = default;

int64_t Hdf5Features::count() const { return state_->count; }
int64_t Hdf5Features::width() const { return state_->width; }
int64_t Hdf5Features::item_size() const { return state_->item_size; }
const std::vector<Place>& Hdf5Features::places() const { return state_->places; }

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

#include "store/hdf5_pixels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "store/hdf5_file.h"

namespace dbps::store {

namespace fs = std::filesystem;

struct Hdf5Pixels::State {
  State(const fs::path& path_, const std::string& group_)
      : path(path_),
        file(open_hdf5_file(path_)),
        group(open_group(file, group_)),
        set(open_named(group, "img")) {
    bool leading = false;
    shape = shape_of(set, leading);
    if (shape.size() == 4) interleaved = shape[3] == 3;
    const Handle type(DBPS_HDF5(H5Dget_type(set)), H5Tclose);
    const bool bytes = H5Tget_class(type) == H5T_INTEGER && H5Tget_size(type) == 1;
    if (shape.size() != 4 || !bytes || (!interleaved && shape[1] != 3)) {
      throw Hdf5Error(
          fmt::format("'img' is of shape ({}) and {} bytes a number, not (N, H, W, 3) "
                      "or (N, 3, H, W) of uint8",
                      fmt::join(shape, ", "), H5Tget_size(type)));
    }
    constexpr hsize_t kMostSide = 65536;
    if (shape[0] > static_cast<hsize_t>(kMostVectors) || height() > kMostSide ||
        width() > kMostSide || height() == 0 || width() == 0) {
      throw Hdf5Error(
          fmt::format("'img' of shape ({}) has too many or no pixels", fmt::join(shape, ", ")));
    }
    if (has_dataset(group, "pos")) places = read_positions(group, static_cast<int64_t>(shape[0]));
  }

  hsize_t height() const { return interleaved ? shape[1] : shape[2]; }
  hsize_t width() const { return interleaved ? shape[2] : shape[3]; }

  fs::path path;
  Handle file;
  Handle group;
  Handle set;
  std::vector<hsize_t> shape;
  bool interleaved = false;
  std::vector<Place> places;
};

Hdf5Pixels::Hdf5Pixels(const fs::path& path, const std::string& group) {
  const QuietErrors quiet;
  try {
    state_ = std::make_unique<State>(path, group);
  } catch (const Hdf5Error& error) {
    throw DataError(fmt::format("{} ('{}'): {}", path.string(), group, error.what()));
  }
}

Hdf5Pixels::~Hdf5Pixels() = default;

int64_t Hdf5Pixels::count() const { return static_cast<int64_t>(state_->shape[0]); }
int64_t Hdf5Pixels::height() const { return static_cast<int64_t>(state_->height()); }
int64_t Hdf5Pixels::width() const { return static_cast<int64_t>(state_->width()); }
const std::vector<Place>& Hdf5Pixels::places() const { return state_->places; }

void Hdf5Pixels::read(int64_t index, uint8_t* rgb) const {
  const QuietErrors quiet;
  const std::vector<hsize_t> start = {static_cast<hsize_t>(index), 0, 0, 0};
  std::vector<hsize_t> extent = state_->shape;
  extent[0] = 1;
  const auto pixels = static_cast<size_t>(height() * width());
  std::vector<uint8_t> planes(state_->interleaved ? 0 : 3 * pixels);
  try {
    const Handle from(DBPS_HDF5(H5Dget_space(state_->set)), H5Sclose);
    DBPS_HDF5(
        H5Sselect_hyperslab(from, H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr));
    const Handle to(DBPS_HDF5(H5Screate_simple(4, extent.data(), nullptr)), H5Sclose);
    DBPS_HDF5(H5Dread(state_->set, H5T_NATIVE_UINT8, to, from, H5P_DEFAULT,
                      state_->interleaved ? rgb : planes.data()));
  } catch (const Hdf5Error& error) {
    throw DataError(fmt::format("{} cannot be read ({})", state_->path.string(), error.what()));
  }
  for (size_t i = 0; i < planes.size(); ++i) rgb[3 * (i % pixels) + i / pixels] = planes[i];
}

}  // namespace dbps::store

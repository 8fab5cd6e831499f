#include "store/slide_layouts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/half.h"
#include "store/hdf5_attribute.h"
#include "store/hdf5_handle.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;

constexpr hsize_t kChunkRows = 256;
constexpr int64_t kRowsAtOnce = 4096;

// The bags first .. end - 1 of the reader, parts of one slide.
struct Slide {
  std::string id;
  int64_t first = 0;
  int64_t end = 0;
  int64_t patches = 0;
};

std::vector<Slide> slides_of(const Reader& reader) {
  std::vector<Slide> slides;
  for (int64_t bag = 0; bag < reader.num_bags(); ++bag) {
    if (!reader.is_later_part(bag)) slides.push_back({reader.bag(bag).id, bag, bag, 0});
    slides.back().end = bag + 1;
    slides.back().patches += reader.bag(bag).tile_count;
  }
  return slides;
}

// As TRIDENT rounds it: 0.25 microns a pixel are 40x. 0: unknown, or larger than it takes.
double magnification_of(double mpp) {
  if (mpp <= 0.0) return 0.0;
  struct Step {
    double below;
    double magnification;
  };
  constexpr Step kSteps[] = {{0.16, 80}, {0.2, 60}, {0.3, 40}, {0.6, 20}, {1.2, 10}, {2.4, 5}};
  for (const auto& [below, magnification] : kSteps) {
    if (mpp < below) return magnification;
  }
  return 0.0;
}

// One slide's file while it is written.
class SlideFile {
 public:
  SlideFile(const Reader& reader, const Slide& slide, const fs::path& path)
      : reader_(reader),
        slide_(slide),
        bag_(reader.bag(slide.first)),
        path_(path),
        file_(DBPS_HDF5(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)),
              H5Fclose) {}

  void write(SlideLayout layout) {
    if (reader_.settings().kind == Kind::kFeatures) write_features();
    const Handle coords = write_coords();
    if (reader_.settings().tile_size > 0) {
      layout == SlideLayout::kClam ? write_clam(coords) : write_trident(coords);
    }
    write_text(coords, "name", fs::path(slide_.id).filename().string());
    DBPS_HDF5(H5Fflush(file_, H5F_SCOPE_GLOBAL));
  }

 private:
  // Chunked and without a greatest N, as theirs, which are written a part at a time.
  Handle make_set(const char* name, hsize_t width, hid_t type) const {
    const auto rows = static_cast<hsize_t>(slide_.patches);
    const hsize_t shape[] = {rows, width};
    const hsize_t most[] = {H5S_UNLIMITED, width};
    const hsize_t chunk[] = {std::min(rows, kChunkRows), width};
    const Handle space(DBPS_HDF5(H5Screate_simple(2, shape, most)), H5Sclose);
    const Handle how(DBPS_HDF5(H5Pcreate(H5P_DATASET_CREATE)), H5Pclose);
    DBPS_HDF5(H5Pset_chunk(how, 2, chunk));
    return {DBPS_HDF5(H5Dcreate2(file_, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT)),
            H5Dclose};
  }

  static void write_rows(hid_t set, hid_t type, hsize_t first, hsize_t count, hsize_t width,
                         const void* data) {
    const hsize_t start[] = {first, 0};
    const hsize_t extent[] = {count, width};
    const Handle to(DBPS_HDF5(H5Dget_space(set)), H5Sclose);
    DBPS_HDF5(H5Sselect_hyperslab(to, H5S_SELECT_SET, start, nullptr, extent, nullptr));
    const Handle from(DBPS_HDF5(H5Screate_simple(2, extent, nullptr)), H5Sclose);
    DBPS_HDF5(H5Dwrite(set, type, from, to, H5P_DEFAULT, data));
  }

  void write_features() const {
    const auto width = static_cast<hsize_t>(reader_.settings().channels);
    const Handle set = make_set("features", width, H5T_IEEE_F32LE);
    hsize_t done = 0;
    for (int64_t bag = slide_.first; bag < slide_.end; ++bag) {
      for (int64_t row = 0; row < reader_.bag(bag).tile_count; row += kRowsAtOnce) {
        const std::vector<float> numbers = read_floats(bag, row);
        const hsize_t count = numbers.size() / width;
        write_rows(set, H5T_NATIVE_FLOAT, done, count, width, numbers.data());
        done += count;
      }
    }
  }

  std::vector<float> read_floats(int64_t bag, int64_t first) const {
    const Settings& settings = reader_.settings();
    std::vector<int64_t> rows(std::min(kRowsAtOnce, reader_.bag(bag).tile_count - first));
    std::iota(rows.begin(), rows.end(), first);
    std::vector<uint8_t> bytes(rows.size() * vector_bytes(settings));
    reader_.read_vectors(bag, rows, bytes.data());
    std::vector<float> numbers(rows.size() * settings.channels);
    if (settings.pixel_type == "float32") {
      std::memcpy(numbers.data(), bytes.data(), bytes.size());
      return numbers;
    }
    for (size_t i = 0; i < numbers.size(); ++i) {
      uint16_t half;
      std::memcpy(&half, bytes.data() + 2 * i, sizeof(half));
      numbers[i] = half_to_float(half);
    }
    return numbers;
  }

  Handle write_coords() const {
    Handle set = make_set("coords", 2, H5T_STD_I64LE);
    std::vector<int64_t> places;
    places.reserve(static_cast<size_t>(2 * slide_.patches));
    for (int64_t bag = slide_.first; bag < slide_.end; ++bag) {
      for (int64_t i = 0; i < reader_.bag(bag).tile_count; ++i) {
        const Tile tile = reader_.tile(bag, i);
        places.insert(places.end(), {tile.x, tile.y});
      }
    }
    write_rows(set, H5T_NATIVE_INT64, 0, static_cast<hsize_t>(slide_.patches), 2, places.data());
    return set;
  }

  // CLAM reads patch_size pixels of patch_level. Tiles that may have been brought to another size
  // are the square of level 0 that they cover.
  void write_clam(hid_t coords) const {
    const Settings& settings = reader_.settings();
    const bool whole_level = settings.mpp == 0.0 && settings.tiles.given == 0 &&
                             (bag_.level > 0 || bag_.downsample == 1.0);
    const double downsample = whole_level ? bag_.downsample : 1.0;
    const double shrunk = whole_level ? 1.0 : bag_.downsample;
    write_integer(coords, "patch_size",
                  std::llround(static_cast<double>(settings.tile_size) * shrunk));
    write_integer(coords, "patch_level", whole_level ? bag_.level : 0);
    const double downsamples[] = {downsample, downsample};
    write_attribute(coords, "downsample", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, downsamples);
    if (bag_.width > 0) {
      const int64_t level[] = {std::llround(static_cast<double>(bag_.width) / downsample),
                               std::llround(static_cast<double>(bag_.height) / downsample)};
      for (const char* name : {"downsampled_level_dim", "level_dim"}) {
        write_attribute(coords, name, H5T_STD_I64LE, H5T_NATIVE_INT64, 2, level);
      }
    }
    write_text(coords, "save_path", path_.parent_path().string());
  }

  void write_trident(hid_t coords) const {
    const int64_t size = reader_.settings().tile_size;
    write_integer(coords, "patch_size", size);
    write_integer(coords, "patch_size_level0",
                  std::llround(static_cast<double>(size) * bag_.downsample));
    write_integer(coords, "overlap", reader_.settings().tiles.overlap);
    if (bag_.width > 0) {
      write_integer(coords, "level0_width", bag_.width);
      write_integer(coords, "level0_height", bag_.height);
    }
    const double magnification = magnification_of(bag_.mpp / bag_.downsample);
    if (magnification > 0.0) {
      write_number(coords, "level0_magnification", magnification);
      write_number(coords, "target_magnification", magnification / bag_.downsample);
    }
    write_text(coords, "savetodir", path_.parent_path().string());
  }

  static void write_integer(hid_t object, const char* name, int64_t value) {
    write_attribute(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, 1, &value);
  }

  // Whole numbers as integers, as Python has them.
  static void write_number(hid_t object, const char* name, double value) {
    if (value == std::floor(value)) return write_integer(object, name, std::llround(value));
    write_attribute(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, &value);
  }

  // Of variable length, which h5py takes for str.
  static void write_text(hid_t object, const char* name, const std::string& value) {
    const Handle type(DBPS_HDF5(H5Tcopy(H5T_C_S1)), H5Tclose);
    DBPS_HDF5(H5Tset_size(type, H5T_VARIABLE));
    DBPS_HDF5(H5Tset_cset(type, H5T_CSET_UTF8));
    const char* text = value.c_str();
    write_attribute(object, name, type, type, 1, &text);
  }

  const Reader& reader_;
  const Slide& slide_;
  const Bag& bag_;
  const fs::path& path_;
  const Handle file_;
};

// An id may be a path below the folder, and nothing else.
fs::path file_of(const fs::path& folder, const std::string& id, const std::string& ending) {
  const fs::path name = fs::path(id + ending);
  const bool plain = name.is_relative() && name == name.lexically_normal() &&
                     *name.begin() != ".." && id.find('\0') == std::string::npos && !id.empty();
  if (!plain) throw DataError(fmt::format("the bag '{}' cannot be the name of a file", id));
  return folder / name;
}

void write_slide(const Reader& reader, const Slide& slide, const fs::path& path,
                 SlideLayout layout) {
  make_folders(path.parent_path());
  const fs::path making = path.string() + ".making";
  try {
    const QuietErrors quiet;
    SlideFile(reader, slide, making).write(layout);
  } catch (const Hdf5Error& error) {
    ::unlink(making.c_str());
    throw RuntimeFault(fmt::format("cannot write {} ({})", path.string(), error.what()));
  } catch (const DataError&) {
    ::unlink(making.c_str());
    throw;
  }
  const FileDescriptor file(::open(making.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file || ::fsync(file.get()) != 0) {
    throw RuntimeFault(errno_message(fmt::format("cannot write {}", path.string())));
  }
  rename_into_place(making, path);
}

}  // namespace

SlideLayout slide_layout_of(const std::string& name) {
  if (name == "clam") return SlideLayout::kClam;
  if (name == "trident") return SlideLayout::kTrident;
  throw ConfigError(fmt::format("--layout {}: there are clam and trident", name));
}

WrittenSlides write_slides(const Reader& reader, const fs::path& folder, SlideLayout layout,
                           const std::function<void(int64_t, int64_t)>& progress) {
  const Kind kind = reader.settings().kind;
  if (kind == Kind::kImages) {
    throw ConfigError(
        fmt::format("{} holds pictures: only stores of tiles and of features have "
                    "coordinates",
                    reader.folder().string()));
  }
  const bool clam = layout == SlideLayout::kClam;
  const char* name = kind == Kind::kTiles ? "patches" : clam ? "h5_files" : "features";
  const std::string ending = kind == Kind::kTiles && !clam ? "_patches.h5" : ".h5";
  WrittenSlides written{0, 0, folder / name};
  const std::vector<Slide> slides = slides_of(reader);
  for (const Slide& slide : slides) {
    write_slide(reader, slide, file_of(written.folder, slide.id, ending), layout);
    ++written.slides;
    written.patches += slide.patches;
    if (progress) progress(written.slides, static_cast<int64_t>(slides.size()));
  }
  return written;
}

}  // namespace dbps::store

#include "store/hdf5_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/files.h"
#include "base/text.h"

namespace dbps::store {
namespace {

bool has_object(hid_t location, const char* name, H5O_type_t type) {
  if (DBPS_HDF5(H5Lexists(location, name, H5P_DEFAULT)) == 0) return false;
  H5L_info_t link;
  DBPS_HDF5(H5Lget_info(location, name, &link, H5P_DEFAULT));
  if (link.type != H5L_TYPE_HARD) return false;
  H5O_info_t object;
  DBPS_HDF5(H5Oget_info_by_name(location, name, &object, H5P_DEFAULT));
  return object.type == type;
}

// Of one value or more; of strings exactly one.
struct Attribute {
  Handle object;
  Handle type;
  hssize_t values;
};

std::optional<Attribute> open_attribute(hid_t object, const char* name) {
  if (DBPS_HDF5(H5Aexists(object, name)) == 0) return {};
  Handle attribute(DBPS_HDF5(H5Aopen(object, name, H5P_DEFAULT)), H5Aclose);
  Handle type(DBPS_HDF5(H5Aget_type(attribute)), H5Tclose);
  const Handle space(DBPS_HDF5(H5Aget_space(attribute)), H5Sclose);
  const hssize_t values = DBPS_HDF5(H5Sget_simple_extent_npoints(space));
  constexpr hssize_t kMost = 64;
  if (values < 1 || values > kMost) return {};
  return Attribute{std::move(attribute), std::move(type), values};
}

std::string read_text(const Attribute& attribute) {
  if (H5Tis_variable_str(attribute.type) > 0) {
    char* text = nullptr;
    DBPS_HDF5(H5Aread(attribute.object, attribute.type, &text));
    const std::string copy = text == nullptr ? "" : text;
    H5free_memory(text);
    return copy;
  }
  std::string text(H5Tget_size(attribute.type), '\0');
  DBPS_HDF5(H5Aread(attribute.object, attribute.type, text.data()));
  return text.substr(0, text.find('\0'));
}

}  // namespace

Handle open_hdf5_file(const std::filesystem::path& path) {
  open_for_reading(path);
  const Handle access(DBPS_HDF5(H5Pcreate(H5P_FILE_ACCESS)), H5Pclose);
  DBPS_HDF5(H5Pset_file_locking(access, false, true));
  return {DBPS_HDF5(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access)), H5Fclose};
}

std::vector<std::string> names_in(hid_t location) {
  std::vector<std::string> names;
  const auto note = [](hid_t, const char* name, const H5L_info_t*, void* into) -> herr_t {
    static_cast<std::vector<std::string>*>(into)->emplace_back(name);
    return 0;
  };
  DBPS_HDF5(H5Literate(location, H5_INDEX_NAME, H5_ITER_INC, nullptr, note, &names));
  return names;
}

bool has_dataset(hid_t location, const char* name) {
  return has_object(location, name, H5O_TYPE_DATASET);
}

bool has_group(hid_t location, const char* name) {
  return has_object(location, name, H5O_TYPE_GROUP);
}

Handle open_dataset(hid_t location, const char* name) {
  Handle set(DBPS_HDF5(H5Dopen2(location, name, H5P_DEFAULT)), H5Dclose);
  const Handle how(DBPS_HDF5(H5Dget_create_plist(set)), H5Pclose);
  if (H5Pget_layout(how) == H5D_VIRTUAL || H5Pget_external_count(how) > 0) {
    throw Hdf5Error(fmt::format("'{}' takes its numbers from other files", name));
  }
  return set;
}

std::vector<hsize_t> shape_of(hid_t set, bool& leading) {
  const Handle space(DBPS_HDF5(H5Dget_space(set)), H5Sclose);
  std::vector<hsize_t> shape(DBPS_HDF5(H5Sget_simple_extent_ndims(space)));
  if (!shape.empty()) DBPS_HDF5(H5Sget_simple_extent_dims(space, shape.data(), nullptr));
  leading = shape.size() == 3 && shape[0] == 1;
  if (leading) shape.erase(shape.begin());
  return shape;
}

std::optional<double> read_number(hid_t object, const char* name) {
  const std::optional<Attribute> attribute = open_attribute(object, name);
  if (!attribute) return {};
  const H5T_class_t kind = H5Tget_class(attribute->type);
  if (kind != H5T_INTEGER && kind != H5T_FLOAT) return {};
  std::vector<double> values(static_cast<size_t>(attribute->values));
  DBPS_HDF5(H5Aread(attribute->object, H5T_NATIVE_DOUBLE, values.data()));
  return values.front();
}

std::optional<std::string> read_word(hid_t object, const char* name) {
  if (const auto number = read_number(object, name)) return fmt::format("{}", *number);
  const std::optional<Attribute> attribute = open_attribute(object, name);
  if (!attribute || attribute->values != 1 || H5Tget_class(attribute->type) != H5T_STRING) {
    return {};
  }
  return read_text(*attribute);
}

std::vector<Place> read_places(hid_t location, const char* name, int64_t count) {
  const Handle set = open_dataset(location, name);
  bool leading = false;
  const std::vector<hsize_t> shape = shape_of(set, leading);
  if (shape.size() == 2 && shape[0] == 0) return {};
  const bool fits = shape.size() == 2 && shape[1] == 2 &&
                    shape[0] <= static_cast<hsize_t>(kMostVectors) &&
                    (count < 0 || shape[0] == static_cast<hsize_t>(count));
  if (!fits) {
    throw Hdf5Error(fmt::format("'{}' is of shape ({}), not ({}, 2)", name, fmt::join(shape, ", "),
                                count < 0 ? "N" : fmt::format("{}", count)));
  }
  static_assert(sizeof(Place) == 2 * sizeof(int32_t));
  std::vector<Place> places(shape[0]);
  DBPS_HDF5(H5Dread(set, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, places.data()));
  return places;
}

Handle open_group(hid_t file, const std::string& name) {
  return {DBPS_HDF5(H5Gopen2(file, name.empty() ? "/" : name.c_str(), H5P_DEFAULT)), H5Gclose};
}

Handle open_named(hid_t location, const char* name) {
  if (has_dataset(location, name)) return open_dataset(location, name);
  const std::vector<std::string> names = names_in(location);
  throw Hdf5Error(fmt::format("it has no dataset '{}', but {}", name,
                              names.empty() ? "nothing" : join_words(names)));
}

std::vector<Place> read_positions(hid_t group, int64_t count) {
  const Handle set = open_dataset(group, "pos");
  bool leading = false;
  const std::vector<hsize_t> shape = shape_of(set, leading);
  if (shape.size() != 1) return read_places(group, "pos", count);
  if (shape[0] != static_cast<hsize_t>(count)) {
    throw Hdf5Error(fmt::format("'pos' has {} places for {} vectors", shape[0], count));
  }
  std::vector<int32_t> numbers(static_cast<size_t>(count));
  if (count > 0) {
    DBPS_HDF5(H5Dread(set, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers.data()));
  }
  std::vector<Place> places;
  for (const int32_t number : numbers) places.push_back({number, 0});
  return places;
}

}  // namespace dbps::store

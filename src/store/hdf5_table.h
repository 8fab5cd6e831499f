// The tables of a shard as HDF5 columns: each row struct lists its columns once, and writing,
// reading and the checksum all follow that list. Only shard.cpp uses it.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "base/crc32c.h"
#include "store/format.h"
#include "store/hdf5_handle.h"
#include "store/tile_table.h"

namespace dbps::store {

template <typename Visit>
void visit_columns(const Tile*, Visit&& visit) {
  visit("offset", &Tile::offset);
  visit("bytes", &Tile::bytes);
  visit("crc32c", &Tile::crc32c);
  visit("source", &Tile::source);
  visit("x", &Tile::x);
  visit("y", &Tile::y);
}

template <typename Visit>
void visit_columns(const Source*, Visit&& visit) {
  visit("path", &Source::path);
  visit("bytes", &Source::bytes);
  visit("mtime", &Source::mtime);
  visit("hash", &Source::hash);
  visit("jpeg_tables", &Source::jpeg_tables);
  visit("photometric", &Source::photometric);
}

template <typename Visit>
void visit_columns(const Bag*, Visit&& visit) {
  visit("id", &Bag::id);
  visit("source", &Bag::source);
  visit("first_tile", &Bag::first_tile);
  visit("tile_count", &Bag::tile_count);
  visit("width", &Bag::width);
  visit("height", &Bag::height);
  visit("level", &Bag::level);
  visit("downsample", &Bag::downsample);
  visit("mpp", &Bag::mpp);
  visit("part", &Bag::part);
}

template <typename T>
hid_t file_type() {
  if constexpr (std::is_same_v<T, double>) return H5T_IEEE_F64LE;
  if constexpr (std::is_same_v<T, uint64_t>) return H5T_STD_U64LE;
  if constexpr (std::is_same_v<T, int64_t>) return H5T_STD_I64LE;
  if constexpr (std::is_same_v<T, uint32_t>) return H5T_STD_U32LE;
  if constexpr (std::is_same_v<T, int32_t>) return H5T_STD_I32LE;
  if constexpr (std::is_same_v<T, uint8_t>) return H5T_STD_U8LE;
}

template <typename T>
hid_t memory_type() {
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, uint64_t>) return H5T_NATIVE_UINT64;
  if constexpr (std::is_same_v<T, int64_t>) return H5T_NATIVE_INT64;
  if constexpr (std::is_same_v<T, uint32_t>) return H5T_NATIVE_UINT32;
  if constexpr (std::is_same_v<T, int32_t>) return H5T_NATIVE_INT32;
  if constexpr (std::is_same_v<T, uint8_t>) return H5T_NATIVE_UINT8;
}

// Text is of fixed width, padded with zeros: no heap, and numpy reads a column at once.
inline Handle text_type(size_t width) {
  Handle type(DBPS_HDF5(H5Tcopy(H5T_C_S1)), H5Tclose);
  DBPS_HDF5(H5Tset_size(type, std::max<size_t>(width, 1)));
  DBPS_HDF5(H5Tset_strpad(type, H5T_STR_NULLPAD));
  DBPS_HDF5(H5Tset_cset(type, H5T_CSET_UTF8));
  return type;
}

inline void write_dataset(hid_t group, const char* name, hid_t file, hid_t memory,
                          const std::vector<hsize_t>& shape, const void* data) {
  const Handle space(
      DBPS_HDF5(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr)), H5Sclose);
  const Handle set(
      DBPS_HDF5(H5Dcreate2(group, name, file, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)),
      H5Dclose);
  DBPS_HDF5(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data));
}

// Rows of bytes, each padded with zeros to the width of the widest.
template <typename Row, typename Bytes>
std::vector<uint8_t> padded(const std::vector<Row>& rows, Bytes Row::*field, size_t width) {
  std::vector<uint8_t> packed(rows.size() * width);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy((rows[i].*field).begin(), (rows[i].*field).end(), packed.begin() + i * width);
  }
  return packed;
}

template <typename Row, typename Bytes>
size_t widest(const std::vector<Row>& rows, Bytes Row::*field) {
  size_t width = 0;
  for (const Row& row : rows) width = std::max(width, (row.*field).size());
  return width;
}

template <typename Row>
class ColumnWriter {
 public:
  ColumnWriter(hid_t group, const std::vector<Row>& rows) : group_(group), rows_(rows) {}

  template <typename T>
  void operator()(const char* name, T Row::*field) const {
    std::vector<T> values;
    values.reserve(rows_.size());
    for (const Row& row : rows_) values.push_back(row.*field);
    write_dataset(group_, name, file_type<T>(), memory_type<T>(), {rows_.size()}, values.data());
  }
  void operator()(const char* name, std::string Row::*field) const {
    const size_t width = std::max<size_t>(1, widest(rows_, field));
    const Handle type = text_type(width);
    write_dataset(group_, name, type, type, {rows_.size()}, padded(rows_, field, width).data());
  }
  void operator()(const char* name, std::vector<uint8_t> Row::*field) const {
    const size_t width = widest(rows_, field);
    write_dataset(group_, name, H5T_STD_U8LE, H5T_NATIVE_UINT8, {rows_.size(), width},
                  padded(rows_, field, width).data());
  }

 private:
  hid_t group_;
  const std::vector<Row>& rows_;
};

inline std::vector<hsize_t> shape_of(hid_t set) {
  const Handle space(DBPS_HDF5(H5Dget_space(set)), H5Sclose);
  std::vector<hsize_t> shape(DBPS_HDF5(H5Sget_simple_extent_ndims(space)));
  DBPS_HDF5(H5Sget_simple_extent_dims(space, shape.data(), nullptr));
  return shape;
}

// The first column decides how many rows a table has; every other must agree.
template <typename Row>
class ColumnReader {
 public:
  ColumnReader(hid_t group, std::vector<Row>& rows) : group_(group), rows_(rows) {}

  template <typename T>
  void operator()(const char* name, T Row::*field) {
    const Handle set = open(name, 1);
    std::vector<T> values(rows_.size());
    DBPS_HDF5(H5Dread(set, memory_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()));
    for (size_t i = 0; i < rows_.size(); ++i) rows_[i].*field = values[i];
  }
  void operator()(const char* name, std::string Row::*field) {
    const Handle set = open(name, 1);
    const Handle type(DBPS_HDF5(H5Dget_type(set)), H5Tclose);
    if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0) {
      throw Hdf5Error(fmt::format("the column {} is not text of fixed width", name));
    }
    const size_t width = H5Tget_size(type);
    std::string packed(rows_.size() * width, '\0');
    DBPS_HDF5(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, packed.data()));
    for (size_t i = 0; i < rows_.size(); ++i) {
      std::string& value = rows_[i].*field;
      value = packed.substr(i * width, width);
      value.resize(value.find_last_not_of('\0') + 1);
    }
  }
  void operator()(const char* name, std::vector<uint8_t> Row::*field) {
    const Handle set = open(name, 2);
    const size_t width = shape_of(set)[1];
    std::vector<uint8_t> packed(rows_.size() * width);
    DBPS_HDF5(H5Dread(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, packed.data()));
    for (size_t i = 0; i < rows_.size(); ++i) {
      std::vector<uint8_t>& value = rows_[i].*field;
      value.assign(packed.begin() + i * width, packed.begin() + (i + 1) * width);
      while (!value.empty() && value.back() == 0) value.pop_back();
    }
  }

 private:
  Handle open(const char* name, size_t dimensions) {
    Handle set(DBPS_HDF5(H5Dopen2(group_, name, H5P_DEFAULT)), H5Dclose);
    const std::vector<hsize_t> shape = shape_of(set);
    if (shape.size() != dimensions || (counted_ && shape[0] != rows_.size())) {
      throw Hdf5Error(fmt::format("the column {} does not have the shape of its table", name));
    }
    if (!counted_) rows_.resize(shape[0]);
    counted_ = true;
    return set;
  }

  hid_t group_;
  std::vector<Row>& rows_;
  bool counted_ = false;
};

// Where the columns of /tiles lie in the file, for TileTable.
class ColumnFinder {
 public:
  ColumnFinder(hid_t group, std::vector<TileColumn>& columns, int64_t& num_rows)
      : group_(group), columns_(columns), num_rows_(num_rows) {}

  template <typename T>
  void operator()(const char* name, T Tile::* /*field*/) {
    const Handle set(DBPS_HDF5(H5Dopen2(group_, name, H5P_DEFAULT)), H5Dclose);
    const Handle type(DBPS_HDF5(H5Dget_type(set)), H5Tclose);
    const Handle how(DBPS_HDF5(H5Dget_create_plist(set)), H5Pclose);
    const std::vector<hsize_t> shape = shape_of(set);
    if (shape.size() != 1 || (!columns_.empty() && shape[0] != static_cast<hsize_t>(num_rows_)) ||
        DBPS_HDF5(H5Tequal(type, file_type<T>())) == 0 || H5Pget_layout(how) != H5D_CONTIGUOUS ||
        H5Pget_external_count(how) > 0) {
      throw Hdf5Error(fmt::format("the column {} does not have the form of its table", name));
    }
    num_rows_ = static_cast<int64_t>(shape[0]);
    const haddr_t offset = H5Dget_offset(set);
    if (num_rows_ > 0 && offset == HADDR_UNDEF) {
      throw Hdf5Error(fmt::format("the column {} was never written", name));
    }
    columns_.push_back({offset, sizeof(T)});
  }

 private:
  hid_t group_;
  std::vector<TileColumn>& columns_;
  int64_t& num_rows_;
};

// Over the values, not over how HDF5 lays them out; text and bytes with their lengths.
template <typename Row>
class ColumnChecksum {
 public:
  ColumnChecksum(const std::vector<Row>& rows, uint32_t& crc) : rows_(rows), crc_(crc) {}

  template <typename T>
  void operator()(const char* name, T Row::*field) {
    crc_ = crc32c(name, std::char_traits<char>::length(name), crc_);
    for (const Row& row : rows_) add(row.*field);
  }

 private:
  template <typename T>
  void add(const T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
      crc_ = crc32c(&value, sizeof(value), crc_);
    } else {
      add(static_cast<uint64_t>(value.size()));
      crc_ = crc32c(value.data(), value.size(), crc_);
    }
  }

  const std::vector<Row>& rows_;
  uint32_t& crc_;
};

// The same of a mapped table.
class MappedChecksum {
 public:
  MappedChecksum(const TileTable& tiles, uint32_t& crc) : tiles_(tiles), crc_(crc) {}

  template <typename T>
  void operator()(const char* name, T Tile::* /*field*/) {
    crc_ = crc32c(name, std::char_traits<char>::length(name), crc_);
    if (tiles_.size() == 0) return;
    crc_ = crc32c(tiles_.column(next_++), static_cast<size_t>(tiles_.size()) * sizeof(T), crc_);
  }

 private:
  const TileTable& tiles_;
  uint32_t& crc_;
  size_t next_ = 0;
};

}  // namespace dbps::store

// The header of NumPy's .npy files, read by a parser of our own that evaluates nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace dbps::ingest {

struct NpyHeader {
  std::string descr;  // "<f4"
  bool fortran_order = false;
  std::vector<int64_t> shape;
  uint64_t data_offset = 0;  // bytes from the start of the file
};

// Throws DataError naming the file: not a .npy file, or a header that is anything but NumPy's
// dictionary of descr, fortran_order and shape.
NpyHeader read_npy_header(const std::filesystem::path& path);

}  // namespace dbps::ingest

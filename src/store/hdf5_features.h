// The feature vectors of one bag in an HDF5 file that another tool wrote (CLAM, TRIDENT).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "store/vectors.h"

namespace dbps::store {

// Reads the datasets `features`, (N, D) or (1, N, D) of float16, float32 or float64, and `coords`,
// (N, 2) or (1, N, 2), where it is there and not empty. One thread at a time.
class Hdf5Features {
 public:
  // Throws DataError naming the file, and what it holds instead.
  explicit Hdf5Features(const std::filesystem::path& path);
  ~Hdf5Features();
  Hdf5Features(const Hdf5Features&) = delete;
  Hdf5Features& operator=(const Hdf5Features&) = delete;

  int64_t count() const;                     // N
  int64_t width() const;                     // D
  int64_t item_size() const;                 // bytes of a number: 2, 4 or 8
  const std::vector<Place>& places() const;  // coords; empty: none

  // Vectors first .. first + count - 1 as they are, little-endian.
  void read(int64_t first, int64_t count, void* out) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::store

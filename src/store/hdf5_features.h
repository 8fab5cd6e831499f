// The feature vectors of one bag in an HDF5 file that another tool wrote (CLAM, TRIDENT, IPS).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "store/slide_coordinates.h"
#include "store/vectors.h"

namespace dbps::store {

// A bag of IPS's layout: one file for all slides, a group a slide.
struct Hdf5Bag {
  std::string name;   // of the group
  std::string label;  // its attribute `label`, number or text; "" where there is none
};

// Of a file that has no dataset `features`: every group with a dataset `img`, in the order of the
// names. Empty for any other file, also a damaged one.
std::vector<Hdf5Bag> hdf5_bags(const std::filesystem::path& path);

// CLAM and TRIDENT: the datasets `features`, (N, D) or (1, N, D) of float16, float32 or float64,
// and `coords`, (N, 2) or (1, N, 2), where it is there and not empty. IPS: `img` and `pos` of a
// group; a `pos` of (N,), places in a grid that the file does not describe, becomes x with y 0.
// One thread at a time.
class Hdf5Features {
 public:
  // Throws DataError naming the file, and what it holds instead.
  explicit Hdf5Features(const std::filesystem::path& path, const std::string& group = "");
  ~Hdf5Features();
  Hdf5Features(const Hdf5Features&) = delete;
  Hdf5Features& operator=(const Hdf5Features&) = delete;

  int64_t count() const;                     // N
  int64_t width() const;                     // D
  int64_t item_size() const;                 // bytes of a number: 2, 4 or 8
  const std::vector<Place>& places() const;  // empty: none
  const PatchFrame& frame() const;           // as the attributes of `coords` say

  // Vectors first .. first + count - 1 as they are, little-endian.
  void read(int64_t first, int64_t count, void* out) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::store

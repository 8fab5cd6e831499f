// The patches of one slide as pixels in an HDF5 file of IPS's layout: `img` and `pos` of a group.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "store/vectors.h"

namespace dbps::store {

// `img` is (N, H, W, 3) or (N, 3, H, W) of uint8; `pos` as in Hdf5Features. One thread at a time.
class Hdf5Pixels {
 public:
  // Throws DataError naming the file, and what it holds instead.
  Hdf5Pixels(const std::filesystem::path& path, const std::string& group);
  ~Hdf5Pixels();
  Hdf5Pixels(const Hdf5Pixels&) = delete;
  Hdf5Pixels& operator=(const Hdf5Pixels&) = delete;

  int64_t count() const;                     // N
  int64_t height() const;                    // H
  int64_t width() const;                     // W
  const std::vector<Place>& places() const;  // empty: none

  // A patch as height x width x 3.
  void read(int64_t index, uint8_t* rgb) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::store

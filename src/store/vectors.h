// A bag of feature vectors on its way into a store, some rows at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "store/format.h"

namespace dbps::store {

inline constexpr int64_t kMostVectors = int64_t{1} << 24;  // a bag

struct Place {
  int32_t x = 0;  // level-0 pixels
  int32_t y = 0;
};

struct Vectors {
  int64_t count = 0;
  std::vector<Place> places;  // one a vector; empty: not known
  // Writes vectors first .. first + count - 1, of the store's width and type, to `out`. Called
  // twice for every row, from one thread at a time.
  std::function<void(int64_t first, int64_t count, uint8_t* out)> read;
};

// The first reading: a tile a vector, offsets still 0, and the checksum over all in `hash`.
std::vector<Tile> measure_vectors(const Vectors& vectors, const Settings& settings,
                                  std::string& hash);

// The second. Throws DataError naming `path` when a vector is not what it was.
void copy_vectors(const Vectors& vectors, const Settings& settings, std::span<const Tile> tiles,
                  const std::string& path,
                  const std::function<void(std::span<const uint8_t>)>& write);

}  // namespace dbps::store

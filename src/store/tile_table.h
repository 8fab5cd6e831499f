// The rows of a shard's /tiles where they lie in the file, mapped. The ranks of a host share that
// memory, and the system takes back what is not in use: of a store of many million tiles no more is
// in memory than what a batch asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <vector>

#include "store/format.h"
#include "store/mapping.h"

namespace dbps::store {

// A column of the table: where its numbers lie in the file, little-endian, end to end.
struct TileColumn {
  uint64_t offset = 0;
  size_t width = 0;  // bytes a number
};

// Immutable; any thread may read. A shard that is cut short meanwhile ends the process (mapping.h).
class TileTable {
 public:
  TileTable() = default;
  // `columns`: in the order of Tile's members. Throws DataError for a file that cannot be mapped
  // or ends before a column does.
  TileTable(const std::filesystem::path& path, const std::vector<TileColumn>& columns,
            int64_t num_rows);

  int64_t size() const { return num_rows_; }
  Tile operator[](int64_t row) const {
    return {load<uint64_t>(0, row), load<uint32_t>(1, row), load<uint32_t>(2, row),
            load<uint32_t>(3, row), load<int32_t>(4, row),  load<int32_t>(5, row)};
  }
  const uint8_t* column(size_t index) const { return columns_[index]; }
  // Gives back the memory of what was read so far; it comes back from the file.
  void forget() const { mapping_.forget(); }

 private:
  template <typename T>
  T load(size_t column, int64_t row) const {
    T value;
    std::memcpy(&value, columns_[column] + static_cast<size_t>(row) * sizeof(T), sizeof(T));
    return value;
  }

  Mapping mapping_;
  std::vector<const uint8_t*> columns_;
  int64_t num_rows_ = 0;
};

}  // namespace dbps::store

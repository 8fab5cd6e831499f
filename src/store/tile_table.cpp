#include "store/tile_table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/files.h"

namespace dbps::store {
namespace {

static_assert(std::endian::native == std::endian::little);

}  // namespace

TileTable::TileTable(const std::filesystem::path& path, const std::vector<TileColumn>& columns,
                     int64_t num_rows)
    : num_rows_(num_rows) {
  if (num_rows == 0) return;
  const FileDescriptor file = open_for_reading(path);
  const uint64_t size = file_bytes(file, path);
  const auto rows = static_cast<uint64_t>(num_rows);
  uint64_t begin = size, end = 0;
  for (const TileColumn& column : columns) {
    if (column.offset > size || rows > (size - column.offset) / column.width) {
      throw DataError(fmt::format("{}: its tables reach past its end", path.string()));
    }
    begin = std::min(begin, column.offset);
    end = std::max(end, column.offset + rows * column.width);
  }
  begin -= begin % static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  mapping_ = Mapping(path, file.get(), begin, end - begin);
  for (const TileColumn& column : columns) {
    columns_.push_back(mapping_.data() + (column.offset - begin));
  }
}

}  // namespace dbps::store

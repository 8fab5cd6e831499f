#include "store/tile_table.h"

#include <fmt/format.h>
#include <sys/mman.h>
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
  const size_t bytes = end - begin;
  void* mapped =
      ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), static_cast<off_t>(begin));
  if (mapped == MAP_FAILED) {
    throw DataError(errno_message(fmt::format("cannot map {}", path.string())));
  }
  mapped_ = {static_cast<uint8_t*>(mapped), [bytes](uint8_t* at) { ::munmap(at, bytes); }};
  mapped_bytes_ = bytes;
  for (const TileColumn& column : columns) {
    columns_.push_back(mapped_.get() + (column.offset - begin));
  }
}

void TileTable::forget() const {
  if (mapped_) ::madvise(mapped_.get(), mapped_bytes_, MADV_DONTNEED);
}

}  // namespace dbps::store

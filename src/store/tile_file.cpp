#include "store/tile_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <limits>

#include "base/crc32c.h"
#include "base/error.h"

namespace dbps::store {

TileFile::TileFile(const std::filesystem::path& folder) {
  std::string name = (folder / "bag-XXXXXX").string();
  file_ = FileDescriptor(::mkstemp(name.data()));
  path_ = name;
  if (!file_) throw RuntimeFault(errno_message(fmt::format("cannot write {}", name)));
  ::unlink(name.c_str());
}

void TileFile::add(std::span<const uint8_t> bytes, int32_t x, int32_t y) {
  if (bytes.size() > std::numeric_limits<uint32_t>::max()) {
    throw DataError(
        fmt::format("{}: a tile of over 4 GB, which a store does not hold", path_.string()));
  }
  write_exactly(file_.get(), bytes.data(), bytes.size(), path_);
  tiles_.push_back(
      {bytes_, static_cast<uint32_t>(bytes.size()), crc32c(bytes.data(), bytes.size()), 0, x, y});
  bytes_ += bytes.size();
}

}  // namespace dbps::store

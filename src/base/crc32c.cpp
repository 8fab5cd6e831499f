#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace dbps {

uint32_t crc32c(const void* data, size_t size, uint32_t previous) {
  // ISA-L takes an int length and neither inverts at the start nor at the end.
  uint32_t crc = ~previous;
  auto* bytes = static_cast<unsigned char*>(const_cast<void*>(data));
  while (size > 0) {
    const size_t part = std::min(size, size_t{1} << 30);
    crc = crc32_iscsi(bytes, static_cast<int>(part), crc);
    bytes += part;
    size -= part;
  }
  return ~crc;
}

}  // namespace dbps

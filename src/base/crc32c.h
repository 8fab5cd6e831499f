// CRC-32C (Castagnoli) by ISA-L: the checksum of pictures, tiles, shards and checkpoint files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dbps {

// crc32c("123456789") is 0xE3069283. Pass an earlier result as `previous` to go on with more bytes.
uint32_t crc32c(const void* data, size_t size, uint32_t previous = 0);

}  // namespace dbps

// The safetensors file format, without LibTorch: 8 bytes of header length, a JSON header, raw
// little-endian tensors. Weights, optimiser state and exported models are such files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace dbps {

// One tensor of a file being written; `data` is borrowed until write_safetensors returns.
struct SafetensorsView {
  std::string name;
  std::string dtype;  // "F32", "F64", "F16", "BF16", "I64", "I32", "U8", "BOOL"
  std::vector<int64_t> shape;
  std::span<const uint8_t> data;
};

struct SafetensorsEntry {
  std::string dtype;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // bytes from the start of the file
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;
};

// Bytes of one element; throws DataError for a dtype this program does not read.
int64_t safetensors_item_size(const std::string& dtype);

// Parses and checks a header against the file's size: every tensor inside the file, sizes equal to
// shape x dtype, no overlap. Throws DataError naming `path` and the tensor.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& path);
SafetensorsHeader parse_safetensors_header(std::span<const uint8_t> head, uint64_t file_size,
                                           const std::filesystem::path& path);

// Holds every byte of the file against the checksum that write_safetensors put into it; a file of
// others has none and passes. Throws DataError naming `path`.
void check_safetensors(const std::filesystem::path& path);

// Whole or absent (write_file_atomic's protocol). Tensors stand in the order given. The metadata
// begin with "crc32c", the CRC-32C of the file with zeros in the place of these eight digits; a
// header that is read leaves it out.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<SafetensorsView>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace dbps

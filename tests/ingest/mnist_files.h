// Made-up files with MNIST's names and format.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"

namespace dbps::ingest {

// What digit `index` of a part shows: every digit is another picture.
inline uint8_t mnist_grey(int64_t index, int64_t place) {
  return static_cast<uint8_t>(place * 31 + index * 7 + (index >> 8) + 1);
}

inline void append_number(std::vector<uint8_t>& bytes, uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<uint8_t>(number >> shift));
  }
}

// `first`: the index, for mnist_grey, of the first digit.
inline void write_mnist_part(const std::filesystem::path& folder, const std::string& part,
                             const std::vector<uint8_t>& labels, int64_t first = 0) {
  const auto count = static_cast<uint32_t>(labels.size());
  std::vector<uint8_t> images;
  for (const uint32_t number : {0x803u, count, 28u, 28u}) append_number(images, number);
  for (uint32_t i = 0; i < count; ++i) {
    for (int64_t grey = 0; grey < 28 * 28; ++grey) images.push_back(mnist_grey(first + i, grey));
  }
  std::vector<uint8_t> names;
  for (const uint32_t number : {0x801u, count}) append_number(names, number);
  names.insert(names.end(), labels.begin(), labels.end());
  write_file_atomic(folder / fmt::format("{}-images-idx3-ubyte", part), images);
  write_file_atomic(folder / fmt::format("{}-labels-idx1-ubyte", part), names);
}

}  // namespace dbps::ingest

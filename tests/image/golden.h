// The records of tests/image/golden/pixels.bin (make_golden.py says what they are).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/files.h"
#include "image/image.h"
#include "support/test_data.h"

namespace dbps::image {

struct GoldenRecord {
  std::string name;
  Image image;
};

inline std::filesystem::path golden_folder() { return test_data() / "image" / "golden"; }

inline std::vector<GoldenRecord> golden_records() {
  const std::vector<uint8_t> bytes = read_file(golden_folder() / "pixels.bin");
  std::vector<GoldenRecord> records;
  for (size_t at = 0; at < bytes.size();) {
    const auto line_end = std::find(bytes.begin() + at, bytes.end(), '\n');
    std::istringstream line(std::string(bytes.begin() + at, line_end));
    GoldenRecord record;
    int64_t width = 0, height = 0;
    int channels = 0;
    if (!(line >> record.name >> width >> height >> channels)) {
      throw std::runtime_error("pixels.bin has a line that is no record");
    }
    record.image = Image(width, height, channels);
    const auto first = line_end + 1;
    const auto last = first + static_cast<std::ptrdiff_t>(record.image.pixels.size());
    std::copy(first, last, record.image.pixels.begin());
    records.push_back(std::move(record));
    at = static_cast<size_t>(last - bytes.begin());
  }
  return records;
}

// The largest difference of two bytes; 256 when the sizes differ.
inline int largest_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.channels != b.channels) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    largest = std::max(largest, std::abs(int{a.pixels[i]} - int{b.pixels[i]}));
  }
  return largest;
}

}  // namespace dbps::image

#include "ingest/demo_digits.h"

#include <cstddef>

#include "base/error.h"

namespace dbps::ingest {

// Made from datasets/demo/digits.bin by demo.cmake.
extern const unsigned char demo_digits_bytes[];
extern const unsigned long demo_digits_bytes_size;

namespace {

constexpr size_t kGreys = size_t{kDigitSide} * kDigitSide;
constexpr size_t kRecord = 1 + kGreys;

}  // namespace

int64_t num_digits() { return static_cast<int64_t>(demo_digits_bytes_size / kRecord); }

Digit digit_at(int64_t index) {
  DBPS_CHECK(0 <= index && index < num_digits(), "no such digit");
  const unsigned char* record = demo_digits_bytes + static_cast<size_t>(index) * kRecord;
  return {record[0], {record + 1, kGreys}};
}

std::vector<int64_t> digits_of(int label) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < num_digits(); ++i) {
    if (digit_at(i).label == label) indices.push_back(i);
  }
  return indices;
}

}  // namespace dbps::ingest

// The handwritten digits of datasets/demo (UCI optical digits), built into the program.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dbps::ingest {

constexpr int kDigitSide = 8;
constexpr int kDigitInk = 16;  // the largest grey

struct Digit {
  int label;  // 0..9
  std::span<const uint8_t>
      greys;  // kDigitSide x kDigitSide, row-major, 0 .. kDigitInk; static memory
};

int64_t num_digits();
Digit digit_at(int64_t index);  // 0 .. num_digits() - 1

// Indices of the digits of a class, ascending.
std::vector<int64_t> digits_of(int label);

}  // namespace dbps::ingest

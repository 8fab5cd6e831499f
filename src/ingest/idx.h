// MNIST's files: handwritten digits in the IDX format, plain or compressed by gzip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace dbps::ingest {

constexpr int kMnistSide = 28;
constexpr int64_t kMnistGreys = int64_t{kMnistSide} * kMnistSide;

struct DigitSet {
  std::vector<uint8_t> labels;  // 0 .. 9
  std::vector<uint8_t> greys;   // digits x kMnistSide x kMnistSide, row-major; 0 paper .. 255 ink

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
  const uint8_t* digit(int64_t index) const { return greys.data() + index * kMnistGreys; }
};

// One pair of files of a folder: `part` is "train" or "t10k". The images are
// <part>-images-idx3-ubyte or <part>-images.idx3-ubyte, also with .gz at the end; the labels alike
// with labels and idx1. Throws ConfigError where a file is not there, DataError for one that is no
// such file, is not as long as its header says, has digits of another size or a label above 9, and
// where the two do not belong together.
DigitSet read_mnist(const std::filesystem::path& folder, const std::string& part);

}  // namespace dbps::ingest

#include "ingest/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/error.h"
#include "base/files.h"
#include "ingest/mnist_files.h"
#include "support/temp_folder.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Idx : public testing::Test {
 protected:
  std::string refusal() const {
    try {
      read_mnist(temp_.path(), "train");
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }

  // Files of two digits; what `change` does to the bytes of one of them.
  template <typename Change>
  std::string refusal_of(const char* file, const Change& change) const {
    write_mnist_part(temp_.path(), "train", {7, 0});
    std::vector<uint8_t> bytes = read_file(temp_.path() / file);
    change(bytes);
    write_file_atomic(temp_.path() / file, bytes);
    return refusal();
  }

  TempFolder temp_;
};

constexpr const char* kImages = "train-images-idx3-ubyte";
constexpr const char* kLabels = "train-labels-idx1-ubyte";

TEST_F(Idx, ReadsDigitsAndLabels) {
  write_mnist_part(temp_.path(), "train", {7, 0, 3});
  const DigitSet digits = read_mnist(temp_.path(), "train");
  EXPECT_THAT(digits.labels, testing::ElementsAre(7, 0, 3));
  ASSERT_EQ(digits.size(), 3);
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t grey = 0; grey < kMnistGreys; ++grey) {
      ASSERT_EQ(digits.digit(i)[grey], mnist_grey(i, grey)) << i << " " << grey;
    }
  }
}

TEST_F(Idx, ReadsGzipAndTheOtherName) {
  write_mnist_part(temp_.path(), "train", {7, 0, 3});
  const DigitSet plain = read_mnist(temp_.path(), "train");
  const std::vector<uint8_t> images = read_file(temp_.path() / kImages);
  gzFile file = ::gzopen((temp_.path() / "train-images-idx3-ubyte.gz").c_str(), "wb");
  ASSERT_EQ(::gzwrite(file, images.data(), static_cast<unsigned>(images.size())),
            static_cast<int>(images.size()));
  ::gzclose(file);
  fs::remove(temp_.path() / kImages);
  fs::rename(temp_.path() / kLabels, temp_.path() / "train-labels.idx1-ubyte");
  EXPECT_EQ(read_mnist(temp_.path(), "train").greys, plain.greys);

  fs::resize_file(temp_.path() / "train-images-idx3-ubyte.gz", 60);
  EXPECT_THAT(refusal(), HasSubstr("train-images-idx3-ubyte.gz is "));
}

TEST_F(Idx, RefusesWhatIsNotSo) {
  EXPECT_THAT(refusal(), HasSubstr("has no train-images-idx3-ubyte"));
  const auto refused = [&](const char* file, size_t place, uint8_t value) {
    return refusal_of(file, [&](std::vector<uint8_t>& bytes) { bytes[place] = value; });
  };
  EXPECT_THAT(refused(kImages, 2, 0x0d), HasSubstr("is no IDX file of bytes in 3 dimensions"));
  EXPECT_THAT(refused(kImages, 3, 1), HasSubstr("is no IDX file of bytes in 3 dimensions"));
  EXPECT_THAT(refused(kLabels, 3, 3), HasSubstr("is no IDX file of bytes in 1 dimension"));
  EXPECT_THAT(refused(kImages, 11, 27), HasSubstr("holds pictures of 27 x 28 pixels, not 28 x 28"));
  EXPECT_THAT(refused(kImages, 4, 0xff), HasSubstr("between 1 and 1000000 can be read"));
  EXPECT_THAT(refused(kImages, 7, 0), HasSubstr("says that it holds 0 digits"));
  EXPECT_THAT(refused(kImages, 5, 0x0f), HasSubstr("its header promises 770703360 bytes more"));
  EXPECT_THAT(refused(kImages, 7, 1), HasSubstr("goes on after the 1 digits of its header"));
  EXPECT_THAT(refused(kLabels, 9, 10), HasSubstr("label 10 of digit 1 is none of 0 to 9"));
  EXPECT_THAT(refusal_of(kImages, [](auto& bytes) { bytes.resize(9); }), HasSubstr("cut short"));
  EXPECT_THAT(refusal_of(kImages, [](auto& bytes) { bytes.clear(); }), HasSubstr("cut short"));
  EXPECT_THAT(refusal_of(kLabels,
                         [](auto& bytes) {
                           bytes[7] = 3;
                           bytes.push_back(1);
                         }),
              HasSubstr("holds 2 digits and"));
}

}  // namespace
}  // namespace dbps::ingest

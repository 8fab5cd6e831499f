// PyTorch's .pth files: good ones are read, hostile and damaged ones are refused in one line.
#include "base/pth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "base/text.h"
#include "base/weights_format.h"
#include "base/zip_archive.h"
#include "support/temp_folder.h"

namespace dbps {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// As a reader of weights goes about it: format, header, storages.
PthHeader read_all(const fs::path& path) {
  if (weights_format(path) != WeightsFormat::kPth) throw DataError("taken for safetensors");
  const PthHeader header = read_pth_header(path);
  for (const PthStorage& storage : header.storages) {
    read_zip_member(path, "a storage", {storage.begin, storage.end, storage.crc});
  }
  return header;
}

// The message of a refusal; nothing when the file is read. Other exceptions fail the test.
std::optional<std::string> refusal(const fs::path& path) {
  try {
    read_all(path);
  } catch (const DataError& error) {
    return error.what();
  }
  return std::nullopt;
}

class Pth : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TempFolder>();
    const std::string command = std::string(DBPS_PYTHON) + " " + DBPS_TEST_DATA +
                                "/base/make_hostile_pth.py " + folder_->path().string();
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static fs::path path(const std::string& name) { return folder_->path() / name; }

  static std::unique_ptr<TempFolder> folder_;
};

std::unique_ptr<TempFolder> Pth::folder_;

void expect_good(const PthHeader& header) {
  ASSERT_EQ(header.tensors.size(), 2u);
  const PthTensor& weight = header.tensors.at("weight");
  EXPECT_EQ(weight.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(weight.strides, (std::vector<int64_t>{3, 1}));
  const PthTensor& bias = header.tensors.at("bias");
  EXPECT_EQ(bias.shape, std::vector<int64_t>{3});
  EXPECT_EQ(bias.offset, 1);
  EXPECT_EQ(header.storages.at(bias.storage).dtype, "F32");
  EXPECT_EQ(header.storages.at(bias.storage).end - header.storages.at(bias.storage).begin, 16u);
}

TEST_F(Pth, GoodFilesAreRead) {
  for (const char* name : {"good.pth", "good64.pth"}) expect_good(read_all(path(name)));
}

TEST_F(Pth, HostileFilesAreRefusedForWhatTheyAre) {
  std::ifstream expected(path("expected.tsv"));
  int files = 0;
  for (std::string line; std::getline(expected, line); ++files) {
    const std::vector<std::string> words = split(line, '\t');
    ASSERT_EQ(words.size(), 2u) << line;
    const fs::path file = path("hostile") / words[0];
    const std::optional<std::string> message = refusal(file);
    if (!message) {
      ADD_FAILURE() << words[0] << " was read";
      continue;
    }
    EXPECT_THAT(*message, HasSubstr(words[1])) << words[0];
    EXPECT_THAT(*message, HasSubstr(file.string()));
    EXPECT_EQ(message->find('\n'), std::string::npos) << *message;
    EXPECT_LT(message->size(), 600u) << *message;
  }
  EXPECT_GE(files, 150);
  std::cout << files << " hostile files refused\n";
}

TEST_F(Pth, FlippedBytesAndCutsNeverChangeAShape) {
  const std::vector<uint8_t> good = read_file(path("good.pth"));
  const fs::path damaged = path("damaged.pth");
  RandomStream random(5, Purpose::kDemo);
  int read = 0;
  constexpr int kCases = 1200;
  for (int i = 0; i < kCases; ++i) {
    std::vector<uint8_t> bytes = good;
    if (i % 4 == 3) {
      bytes.resize(random.below(bytes.size()));
    } else {
      for (int flips = 0; flips <= i % 3; ++flips) {
        bytes[random.below(bytes.size())] ^= static_cast<uint8_t>(1 + random.below(255));
      }
    }
    std::ofstream(damaged, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    try {
      expect_good(read_all(damaged));
      ++read;
    } catch (const DataError&) {
    }
  }
  EXPECT_LT(read, kCases / 2) << "fields that nothing depends on are fewer than that";
  std::cout << kCases - read << " of " << kCases << " damaged files refused, the rest read whole\n";
}

}  // namespace
}  // namespace dbps

// Weight files: round trips, and what is said of wrong ones.
#include "model/weights.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/pth.h"
#include "model/golden.h"
#include "support/temp_folder.h"

namespace dbps::model {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Weights, RoundTripOfEveryType) {
  const TempFolder folder;
  const auto path = folder.path() / "a.safetensors";
  std::vector<NamedTensor> tensors;
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong,
                                    at::kInt, at::kShort, at::kChar, at::kByte, at::kBool}) {
    tensors.push_back({at::toString(type), (noise("x", {3, 2}).abs() * 100).to(type)});
  }
  tensors.push_back({"scalar", at::tensor(2.5)});
  tensors.push_back({"empty", at::empty({0, 4})});
  tensors.push_back({"transposed", noise("y", {3, 5}).t()});
  write_weights(path, tensors, {{"format", "test"}});

  const WeightsFile read = read_weights(path);
  EXPECT_EQ(read.metadata.at("format"), "test");
  std::map<std::string, at::Tensor> by_name;
  for (const NamedTensor& named : read.tensors) by_name[named.name] = named.tensor;
  ASSERT_EQ(by_name.size(), tensors.size());
  for (const NamedTensor& named : tensors) {
    EXPECT_EQ(by_name.at(named.name).scalar_type(), named.tensor.scalar_type()) << named.name;
    EXPECT_TRUE(by_name.at(named.name).equal(named.tensor)) << named.name;
  }
}

TEST(Weights, NamesEveryFaultAndCopiesNothingThen) {
  const at::Tensor a = at::zeros({2});
  const at::Tensor b = at::zeros({3, 1});
  WeightsFile file;
  file.tensors = {{"a", at::ones({2})}, {"b", at::ones({1, 3})}, {"x", at::ones({1})}};
  EXPECT_THAT(
      [&] {
        load_into({{"a", a}, {"b", b}, {"c", at::zeros({1})}}, file, "w.safetensors");
      },
      ThrowsMessage<DataError>(AllOf(HasSubstr("w.safetensors"), HasSubstr("missing c"),
                                     HasSubstr("unexpected x"),
                                     HasSubstr("b is (1, 3), not (3, 1)"))));
  EXPECT_EQ(a.sum().item<float>(), 0);

  file.tensors = {{"a", at::ones({2}, at::kDouble)}};
  EXPECT_THAT(
      [&] {
        load_into({{"a", a}, {"b", b}}, file, "w");
      },
      ThrowsMessage<DataError>(HasSubstr("missing b")));
  EXPECT_EQ(a.sum().item<float>(), 0);
  load_into({{"a", a}}, file, "w");
  EXPECT_EQ(a.sum().item<float>(), 2);
}

std::filesystem::path golden_file(const std::string& name) {
  return std::filesystem::path(DBPS_TEST_DATA) / "model" / "golden" / name;
}

std::map<std::string, at::Tensor> read_by_name(const std::filesystem::path& path) {
  std::map<std::string, at::Tensor> by_name;
  for (const NamedTensor& named : read_weights(path).tensors) by_name[named.name] = named.tensor;
  return by_name;
}

TEST(Weights, WhatTorchSavesIsReadAsItIs) {
  for (const auto& [pth, safetensors] : std::vector<std::pair<std::string, std::string>>{
           {"types.pth", "pth.safetensors"}, {"wrapped.pth", "wrapped.safetensors"}}) {
    std::map<std::string, at::Tensor> read = read_by_name(golden_file(pth));
    const std::map<std::string, at::Tensor> expected = read_by_name(golden_file(safetensors));
    EXPECT_EQ(read.size(), expected.size());
    for (const auto& [name, tensor] : expected) {
      ASSERT_TRUE(read.contains(name)) << name;
      EXPECT_EQ(read.at(name).scalar_type(), tensor.scalar_type()) << name;
      EXPECT_TRUE(read.at(name).equal(tensor)) << name;
    }
  }
}

TEST(Weights, TheContentTellsTheFormatNotTheName) {
  const TempFolder folder;
  const auto copy = folder.path() / "a.safetensors";
  std::filesystem::copy_file(golden_file("wrapped.pth"), copy);
  EXPECT_EQ(read_by_name(copy).size(), 7u);
}

TEST(Weights, RefusesOtherFormatsAndBrokenFiles) {
  const TempFolder folder;
  EXPECT_THAT([&] { read_weights(folder.path() / "resnet18.pth"); },
              ThrowsMessage<DataError>(HasSubstr("cannot open")));
  EXPECT_THAT([&] { read_weights(golden_file("legacy.pth")); },
              ThrowsMessage<DataError>(HasSubstr("weights_only=True")));
  const auto damaged = folder.path() / "damaged.pth";
  std::filesystem::copy_file(golden_file("types.pth"), damaged);
  const auto at = static_cast<std::streamoff>(read_pth_header(damaged).storages.at(0).begin);
  std::fstream(damaged, std::ios::in | std::ios::out | std::ios::binary).seekp(at).put('!');
  EXPECT_THAT([&] { read_weights(damaged); }, ThrowsMessage<DataError>(HasSubstr("checksum")));
  const auto path = folder.path() / "broken.safetensors";
  write_weights(path, {{"a", at::ones({1000})}}, {});
  std::filesystem::resize_file(path, 1000);
  EXPECT_THAT([&] { read_weights(path); }, ThrowsMessage<DataError>(HasSubstr("'a'")));
}

}  // namespace
}  // namespace dbps::model

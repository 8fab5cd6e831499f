// Whole models and encoders in upstream's and torchvision's names: round trips, partial loads, and
// what is said of files that do not fit.
#include "model/model_weights.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "model/golden.h"
#include "model/model.h"
#include "model/recognize.h"
#include "model/upstream_names.h"
#include "support/temp_folder.h"

namespace dbps::model {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

ModelOptions whole_model(const std::string& kind, int64_t stages = 4) {
  ModelOptions options;
  options.encoder.kind = kind;
  options.encoder.stages = stages;
  options.encoder.width = kind == "resnet50" ? 32 : 0;
  options.aggregator.key_width = 4;
  options.aggregator.value_width = 4;
  options.aggregator.mlp_width = 16;
  options.aggregator.mlp_layers = 3;
  options.tasks.resize(2);
  options.tasks[0].name = "disease";
  options.tasks[0].classes = {"a", "b", "c"};
  options.tasks[1].name = "top-most";
  options.tasks[1].classes = {"a", "b"};
  return options;
}

Model drawn(const ModelOptions& options, int64_t seed) {
  return Model(options, at::kCPU, at::kFloat, seed);
}

std::set<std::string> names_in(const std::vector<NamedTensor>& tensors) {
  std::set<std::string> names;
  for (const NamedTensor& named : tensors) names.insert(named.name);
  return names;
}

void expect_equal(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_TRUE(a[i].tensor.equal(b[i].tensor)) << a[i].name;
  }
}

class ModelWeights : public testing::Test {
 protected:
  std::filesystem::path written(const std::vector<NamedTensor>& tensors) const {
    write_weights(path_, tensors, {});
    return path_;
  }
  TempFolder folder_;
  std::filesystem::path path_ = folder_.path() / "weights.safetensors";
};

TEST_F(ModelWeights, UpstreamNamesAndBackAreTheSameBits) {
  for (const auto& [kind, stages] :
       std::vector<std::pair<std::string, int64_t>>{{"resnet18", 2}, {"resnet50", 1}}) {
    const ModelOptions options = whole_model(kind, stages);
    Model source = drawn(options, 3);
    for (const NamedTensor& buffer : source.buffers()) buffer.tensor.normal_();
    std::vector<NamedTensor> theirs = exported(source.tensors(), Names::kUpstream);
    theirs.push_back({"encoder.1.num_batches_tracked", at::tensor(7)});
    for (NamedTensor& named : theirs) named.name = "module." + named.name;
    Model target = drawn(options, 4);
    load_model(target.tensors(), read_model_weights(written(theirs)), path_);
    expect_equal(target.tensors(), source.tensors());
  }
}

// Each kind of name that method.md 4 gives.
TEST(UpstreamNames, AreThoseOfTheReleasedCode) {
  const Model resnet = drawn(whole_model("resnet50"), 3);
  const std::set<std::string> names = names_in(exported(resnet.tensors(), Names::kUpstream));
  for (const char* name : {"encoder.0.weight",
                           "encoder.1.weight",
                           "encoder.1.running_mean",
                           "encoder.4.0.conv1.weight",
                           "encoder.4.0.downsample.0.weight",
                           "encoder.6.5.bn3.bias",
                           "encoder.7.2.conv3.weight",
                           "encoder.9.2.weight",
                           "encoder.9.2.bias",
                           "encoder.9.3.weight",
                           "encoder.9.3.running_var",
                           "transf.crs_attn.q",
                           "transf.crs_attn.q_w.weight",
                           "transf.crs_attn.k_w.weight",
                           "transf.crs_attn.v_w.weight",
                           "transf.crs_attn.fc.weight",
                           "transf.crs_attn.layer_norm.weight",
                           "transf.mlp.w_1.weight",
                           "transf.mlp.w_3.bias",
                           "transf.mlp.layer_norm.bias",
                           "output_layers.disease.0.weight",
                           "output_layers.top-most.0.bias"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(UpstreamNames, OfFrozenFeatures) {
  const UpstreamNames ours = UpstreamNames::of_ours({"encoder.projector.linear.weight"});
  const UpstreamNames theirs = UpstreamNames::of_theirs({"encoder.1.weight", "encoder.2.weight"});
  for (const auto& [our_name, their_name] : std::vector<std::pair<std::string, std::string>>{
           {"encoder.projector.linear.weight", "encoder.1.weight"},
           {"encoder.projector.bn.running_mean", "encoder.2.running_mean"}}) {
    EXPECT_EQ(ours.theirs(our_name), their_name);
    EXPECT_EQ(theirs.ours(their_name), our_name);
  }
}

TEST(UpstreamNames, WhatHasNoCounterpartIsSaid) {
  const UpstreamNames names = UpstreamNames::of_ours({"encoder.conv1.weight"});
  for (const char* name : {"encoder.conv2.weight", "aggregator.gate.weight", "aggregator.qq",
                           "aggregator.mlp.gate.weight", "heads."}) {
    EXPECT_FALSE(names.theirs(name)) << name;
  }
  for (const char* name : {"encoder.3.weight", "transf.pos.weight", "output_layers.a.1.weight",
                           "output_layers.a", "transf.mlp.w_.weight"}) {
    EXPECT_FALSE(names.ours(name)) << name;
  }
  const Model tiny = drawn(whole_model("tiny"), 3);
  EXPECT_THAT([&] { exported(tiny.tensors(), Names::kUpstream); },
              ThrowsMessage<ConfigError>(HasSubstr("encoder.conv2.weight")));
}

TEST_F(ModelWeights, TheEncoderOfUpstreamsModel) {
  const Model source = drawn(whole_model("resnet18"), 3);
  ModelOptions options = whole_model("resnet18", /*stages=*/2);
  options.encoder.weights = written(exported(source.tensors(), Names::kUpstream));
  options.encoder.channels = 1;
  const Model grey = drawn(options, 4);
  const Model untouched = drawn(whole_model("resnet18", 2), 4);
  EXPECT_EQ(grey.parameters()[0].tensor.size(1), 1) << "the stem is replaced";
  EXPECT_TRUE(grey.parameters()[3].tensor.equal(source.parameters()[3].tensor));
  EXPECT_TRUE(grey.parameters().back().tensor.equal(untouched.parameters().back().tensor))
      << "only the encoder is read";
}

TEST_F(ModelWeights, TorchvisionsNamesComeBackEqual) {
  for (const char* kind : {"resnet18", "resnet50"}) {
    const Model source = drawn(whole_model(kind, /*stages=*/1), 3);
    std::vector<NamedTensor> published = exported(source.tensors(), Names::kTorchvision);
    EXPECT_FALSE(names_in(published).contains("projector.linear.weight"));
    const std::vector<NamedTensor> expected = published;
    published.push_back({"fc.weight", at::ones({10, 4})});
    published.push_back({"bn1.num_batches_tracked", at::tensor(7)});
    ModelOptions options = whole_model(kind, /*stages=*/1);
    options.encoder.weights = written(published);
    expect_equal(exported(drawn(options, 4).tensors(), Names::kTorchvision), expected);
  }
}

TEST_F(ModelWeights, ResetHeadsStayAsDrawn) {
  Model source = drawn(whole_model("tiny"), 3);
  ModelOptions other = whole_model("tiny");
  other.tasks[0].classes.push_back("d");
  Model target = drawn(other, 4);
  const WeightsFile file = read_model_weights(written(source.tensors()));
  EXPECT_THAT([&] { load_model(target.tensors(), file, path_); },
              ThrowsMessage<DataError>(HasSubstr("heads.disease.weight is (3, 64), not (4, 64)")));
  load_model(target.tensors(), file, path_, /*reset_heads=*/true);
  EXPECT_TRUE(target.parameters()[0].tensor.equal(source.parameters()[0].tensor));
}

TEST_F(ModelWeights, AnotherNetworkIsNamedInsteadOfItsTensors) {
  const Model resnet50 = drawn(whole_model("resnet50", /*stages=*/2), 3);
  Model resnet18 = drawn(whole_model("resnet18", /*stages=*/2), 3);
  const auto other = AllOf(HasSubstr("ResNet-50"), HasSubstr("not of ResNet-18"),
                           Not(HasSubstr("layer1")), Not(HasSubstr("\n")));
  ModelOptions options = whole_model("resnet18", /*stages=*/2);
  for (const Names names : {Names::kDbps, Names::kUpstream, Names::kTorchvision}) {
    options.encoder.weights = written(exported(resnet50.tensors(), names));
    EXPECT_THAT([&] { drawn(options, 4); }, ThrowsMessage<DataError>(other));
  }
  const WeightsFile encoder =
      read_model_weights(written(exported(resnet18.tensors(), Names::kTorchvision)));
  EXPECT_THAT(
      [&] { load_model(resnet18.tensors(), encoder, path_); },
      ThrowsMessage<DataError>(AllOf(HasSubstr("ResNet-18 alone"), HasSubstr("encoder.weights"))));
  EXPECT_EQ(recognize({"blocks.0.attn.qkv.weight"}), "a vision transformer");
  EXPECT_EQ(recognize({"weight"}), "");
}

TEST_F(ModelWeights, AMissingFileSaysWhereToGetOne) {
  ModelOptions options = whole_model("resnet50", /*stages=*/1);
  options.encoder.weights = (folder_.path() / "no.pth").string();
  EXPECT_THAT([&] { drawn(options, 4); },
              ThrowsMessage<DataError>(
                  AllOf(HasSubstr("no.pth"), HasSubstr("resnet50-0676ba61.pth"),
                        HasSubstr("resnet50-11ad3fa6.pth"), HasSubstr("SHA-256 11ad3fa6"))));
}

TEST_F(ModelWeights, LongListsAreCutShortWithTheirCounts) {
  Model model = drawn(whole_model("resnet18", /*stages=*/2), 3);
  std::vector<NamedTensor> tensors = exported(model.tensors(), Names::kUpstream);
  std::erase_if(tensors,
                [](const NamedTensor& named) { return named.name.starts_with("transf."); });
  const WeightsFile file = read_model_weights(written(tensors));
  try {
    load_model(model.tensors(), file, path_);
    FAIL() << "half a model was taken";
  } catch (const DataError& error) {
    const std::string message = error.what();
    EXPECT_THAT(message, AllOf(HasSubstr("missing 15 (aggregator.q, "), HasSubstr("and 9 more"),
                               HasSubstr("upstream's names")));
    EXPECT_LT(message.size(), 500u);
  }
}

}  // namespace
}  // namespace dbps::model

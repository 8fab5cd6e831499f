// Encoders against PyTorch's numbers, and the scan's copies against the encoders.
#include "model/encoder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/batch_norm.h"
#include "model/golden.h"

namespace dbps::model {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

struct Case {
  std::string golden;
  EncoderOptions options;
};

void PrintTo(const Case& c, std::ostream* stream) { *stream << c.golden; }

class EncoderGolden : public testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<Encoder> make(at::ScalarType type) {
    std::unique_ptr<Encoder> encoder = make_encoder(GetParam().options, type, 1, statistics_);
    fill(encoder->parameters());
    return encoder;
  }
  at::Tensor patches(int step, at::ScalarType type) const {
    return noise("patches." + std::to_string(step), {4, GetParam().options.channels, 16, 16})
        .to(type);
  }
  const at::Tensor& golden(const std::string& name) {
    return golden_.at(GetParam().golden + "." + name);
  }

  BatchStatistics statistics_;
  std::map<std::string, at::Tensor> golden_ = read_golden("encoders");
};

TEST_P(EncoderGolden, Evaluation) {
  for (const auto& [type, tolerance] : {std::pair{at::kDouble, 1e-10}, {at::kFloat, 1e-4}}) {
    const std::unique_ptr<Encoder> encoder = make(type);
    const at::Tensor embeddings = encoder->embed(patches(0, type), {});
    EXPECT_EQ(embeddings.size(1), encoder->spec().width);
    expect_close(embeddings, golden("eval"), tolerance, "evaluation");
  }
}

TEST_P(EncoderGolden, ThreeTrainingSteps) {
  const std::unique_ptr<Encoder> encoder = make(at::kDouble);
  Forward forward;
  forward.training = true;
  forward.statistics = &statistics_;
  for (int step = 0; step < 3; ++step) {
    statistics_.reset();
    const at::Tensor embeddings = encoder->embed(patches(step, at::kDouble), forward);
    expect_close(embeddings, golden("train." + std::to_string(step)), 1e-8, "training");
    (embeddings * noise("loss", embeddings.sizes())).sum().backward();
    statistics_.update_running();
  }
  for (const NamedTensor& buffer : encoder->parameters().buffers()) {
    expect_close(projection(buffer.name, buffer.tensor), golden("buffer." + buffer.name), 1e-10,
                 buffer.name);
  }
  for (const NamedTensor& parameter : encoder->parameters().parameters()) {
    expect_close(projection(parameter.name, parameter.tensor.grad()),
                 golden("gradient." + parameter.name), 1e-7, parameter.name);
  }
}

TEST_P(EncoderGolden, ScanCopyFollowsTheEncoder) {
  for (const auto& [type, tolerance] : {std::pair{at::kDouble, 1e-10}, {at::kFloat, 2e-5}}) {
    const std::unique_ptr<Encoder> encoder = make(type);
    const std::unique_ptr<ScanEncoder> scan = encoder->make_scan_copy(type);
    const at::Tensor input = patches(0, type);
    const at::Tensor before = scan->embed(input);
    EXPECT_FALSE(before.requires_grad());
    expect_close(before, encoder->embed(input, {}), tolerance, "scan copy");
    {
      const c10::NoGradGuard no_grad;
      for (const NamedTensor& named : encoder->parameters().parameters()) named.tensor.mul_(1.05);
      for (const NamedTensor& named : encoder->parameters().buffers()) named.tensor.mul_(1.1);
    }
    EXPECT_TRUE(scan->embed(input).equal(before)) << "it is a copy until it is refreshed";
    scan->refresh();
    expect_close(scan->embed(input), encoder->embed(input, {}), tolerance, "refreshed");
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, EncoderGolden,
    testing::Values(Case{"tiny", {.kind = "tiny", .width = 64}},
                    Case{"resnet18_two_stages",
                         {.kind = "resnet18", .stages = 2, .channels = 1, .width = 128}},
                    Case{"resnet50_two_stages", {.kind = "resnet50", .stages = 2, .width = 24}}),
    [](const auto& info) { return info.param.golden; });

// In full size, in single precision: number of parameters, embeddings, scan copy.
TEST(Encoder, FullSize) {
  struct Full {
    EncoderOptions options;
    int64_t parameters;
  };
  const int64_t projector = 2048 * 24 + 24 + 2 * 24;
  const auto golden = read_golden("encoders");
  for (const Full& full : {Full{{.kind = "tiny", .width = 64}, 60'688},
                           Full{{.kind = "resnet18", .width = 512}, 11'176'512},
                           Full{{.kind = "resnet50", .width = 24}, 23'508'032 + projector}}) {
    const std::string& kind = full.options.kind;
    BatchStatistics statistics;
    const auto encoder = make_encoder(full.options, at::kFloat, 1, statistics);
    int64_t parameters = 0;
    for (const NamedTensor& named : encoder->parameters().parameters()) {
      parameters += named.tensor.numel();
    }
    EXPECT_EQ(parameters, full.parameters) << kind;
    fill(encoder->parameters());
    const at::Tensor patches = noise("patches.0", {2, 3, 32, 32}).to(at::kFloat);
    const at::Tensor embeddings = encoder->embed(patches, {});
    expect_close(embeddings, golden.at("full." + kind + ".eval"), 1e-4, kind);
    expect_close(encoder->make_scan_copy(at::kFloat)->embed(patches), embeddings, 2e-5,
                 kind + " scan copy");
  }
}

TEST(Encoder, ScansManyPatchesInPieces) {
  BatchStatistics statistics;
  const auto encoder =
      make_encoder({.kind = "resnet18", .stages = 1, .width = 0}, at::kFloat, 1, statistics);
  const auto scan = encoder->make_scan_copy(at::kFloat);
  const at::Tensor patches = at::rand({100, 3, 100, 100});  // 64 MB after the first layer
  const at::Tensor embeddings = scan->embed(patches);
  ASSERT_EQ(embeddings.size(0), 100);
  for (const int64_t row : {0, 33, 34, 67, 99}) {
    expect_close(embeddings.narrow(0, row, 1), scan->embed(patches.narrow(0, row, 1)), 1e-5, "row");
  }
}

TEST(Encoder, TrainsTinyInSinglePrecision) {
  BatchStatistics statistics;
  const auto encoder = make_encoder({.kind = "tiny", .width = 0}, at::kFloat, 1, statistics);
  fill(encoder->parameters());
  const auto golden = read_golden("encoders");
  Forward forward;
  forward.training = true;
  forward.statistics = &statistics;
  for (int step = 0; step < 3; ++step) {
    statistics.reset();
    const std::string number = std::to_string(step);
    const at::Tensor patches = noise("patches." + number, {4, 3, 16, 16}).to(at::kFloat);
    expect_close(encoder->embed(patches, forward), golden.at("tiny.train." + number), 1e-5, number);
    statistics.update_running();
  }
  for (const NamedTensor& buffer : encoder->parameters().buffers()) {
    expect_close(projection(buffer.name, buffer.tensor), golden.at("tiny.buffer." + buffer.name),
                 1e-5, buffer.name);
  }
}

TEST(Encoder, FrozenUsesRunningStatisticsAndHasNoGradient) {
  BatchStatistics statistics;
  const auto encoder =
      make_encoder({.kind = "tiny", .width = 0, .frozen = true}, at::kFloat, 1, statistics);
  Forward forward;
  forward.training = true;
  forward.statistics = &statistics;
  const at::Tensor patches = noise("patches.0", {4, 3, 32, 32}).to(at::kFloat);
  const at::Tensor embeddings = encoder->embed(patches, forward);
  EXPECT_FALSE(embeddings.requires_grad());
  EXPECT_TRUE(embeddings.equal(encoder->embed(patches, {})));
}

TEST(Encoder, FrozenStagesKeepWeightsAndStatistics) {
  BatchStatistics statistics;
  const auto encoder = make_encoder({.kind = "resnet18", .width = 0, .frozen_stages = 2},
                                    at::kDouble, 1, statistics);
  Forward forward;
  forward.training = true;
  forward.statistics = &statistics;
  const at::Tensor patches = noise("patches.0", {4, 3, 64, 64});
  const auto is_kept = [](const std::string& name) {
    return !name.starts_with("layer3.") && !name.starts_with("layer4.");
  };
  std::map<std::string, at::Tensor> before;
  for (const NamedTensor& buffer : encoder->parameters().buffers()) {
    before[buffer.name] = buffer.tensor.clone();
  }
  statistics.reset();
  const at::Tensor embeddings = encoder->embed(patches, forward);
  embeddings.sum().backward();
  statistics.update_running();
  for (const NamedTensor& parameter : encoder->parameters().parameters()) {
    EXPECT_EQ(parameter.tensor.grad().defined(), !is_kept(parameter.name)) << parameter.name;
  }
  for (const NamedTensor& buffer : encoder->parameters().buffers()) {
    EXPECT_EQ(buffer.tensor.equal(before.at(buffer.name)), is_kept(buffer.name)) << buffer.name;
  }
  // Frozen stages normalise by their running statistics, in training too; the others do not.
  const auto changes = [&](const std::string& name) {
    for (const NamedTensor& buffer : encoder->parameters().buffers()) {
      if (buffer.name == name) buffer.tensor.mul_(2);
    }
    return !encoder->embed(patches, forward).equal(embeddings);
  };
  EXPECT_FALSE(changes("layer3.0.bn1.running_var"));
  EXPECT_TRUE(changes("layer1.0.bn1.running_var"));
}

TEST(Encoder, FrozenStagesAreThoseThatThereAre) {
  BatchStatistics statistics;
  const auto make = [&](EncoderOptions options) {
    make_encoder(options, at::kFloat, 1, statistics);
  };
  EXPECT_NO_THROW(make({.kind = "resnet50", .stages = 3, .frozen_stages = 3}));
  EXPECT_THROW(make({.kind = "resnet50", .stages = 3, .frozen_stages = 4}), ConfigError);
  EXPECT_THROW(make({.kind = "features", .frozen_stages = 1, .width_in = 8}), ConfigError);
}

TEST(Encoder, InitialWeightsFollowTheirLawAndTheirSeed) {
  BatchStatistics statistics;
  const EncoderOptions options = {.kind = "resnet18", .stages = 2, .channels = 1, .width = 0};
  const auto named = [&](int64_t seed) {
    std::map<std::string, at::Tensor> all;
    const auto encoder = make_encoder(options, at::kFloat, seed, statistics);
    for (const NamedTensor& entry : encoder->parameters().parameters()) {
      all[entry.name] = entry.tensor.detach();
    }
    return all;
  };
  auto first = named(1);
  EXPECT_TRUE(first.at("layer1.0.conv1.weight").equal(named(1).at("layer1.0.conv1.weight")));
  EXPECT_FALSE(first.at("layer1.0.conv1.weight").equal(named(2).at("layer1.0.conv1.weight")));
  const at::Tensor kaiming = first.at("layer2.1.conv1.weight");  // 128 x 128 x 3 x 3
  EXPECT_NEAR(kaiming.std().item<double>(), std::sqrt(2.0 / (128 * 9)), 0.0003);
  EXPECT_GT(kaiming.abs().max().item<double>(), 3.5 * std::sqrt(2.0 / (128 * 9)));
  const at::Tensor stem = first.at("conv1.weight");  // 64 x 1 x 7 x 7, replaced
  EXPECT_LE(stem.abs().max().item<double>(), 1.0 / 7);
  EXPECT_NEAR(stem.std().item<double>(), 1.0 / 7 / std::sqrt(3.0), 0.003);
}

TEST(Encoder, WidthIsItsOwnOr512BehindAProjector) {
  BatchStatistics statistics;
  const auto width = [&](const EncoderOptions& options) {
    return make_encoder(options, at::kFloat, 1, statistics)->spec().width;
  };
  EXPECT_EQ(width({.kind = "tiny"}), 64);
  EXPECT_EQ(width({.kind = "resnet18", .stages = 2}), 128);
  EXPECT_EQ(width({.kind = "tiny", .projector = "linear"}), 512);
  EXPECT_EQ(width({.kind = "resnet50", .stages = 2}), 512);
}

TEST(Encoder, RefusesWhatItCannotGive) {
  BatchStatistics statistics;
  const auto make = [&](EncoderOptions options) {
    return [=, &statistics] { make_encoder(options, at::kFloat, 1, statistics); };
  };
  EXPECT_THAT(make({.kind = "tiny", .width = 512}),
              ThrowsMessage<ConfigError>(HasSubstr("encoder.width = 512")));
  EXPECT_THAT(make({.kind = "resnet18", .stages = 5}),
              ThrowsMessage<ConfigError>(HasSubstr("encoder.stages = 5")));
  EXPECT_THAT(make({.kind = "tiny", .channels = 4, .width = 0}),
              ThrowsMessage<ConfigError>(HasSubstr("encoder.channels = 4")));
  EXPECT_THAT(make({.kind = "tiny", .width = 0, .projector = "mlp"}),
              ThrowsMessage<ConfigError>(HasSubstr("encoder.projector = 'mlp'")));
  EXPECT_THAT(make({.kind = "resnet81"}),
              ThrowsMessage<ConfigError>(HasSubstr("encoder.kind = 'resnet81'")));
}

TEST(BatchNorm, SingleValueAChannelUsesRunningStatistics) {
  Parameters parameters;
  BatchStatistics statistics;
  BatchNorm norm("bn", 3, Initializer(1, at::kFloat, "test"), parameters, &statistics);
  fill(parameters);
  statistics.allocate();
  Forward forward;
  forward.training = true;
  forward.statistics = &statistics;
  const at::Tensor row = noise("row", {1, 3}).to(at::kFloat);
  EXPECT_TRUE(norm.forward(row, forward).equal(norm.forward(row, {})));
  EXPECT_EQ(statistics.sums().abs().max().item<float>(), 0);
  const at::Tensor before = parameters.buffers()[0].tensor.clone();
  statistics.update_running();
  EXPECT_TRUE(parameters.buffers()[0].tensor.equal(before));
}

TEST(BatchNorm, MicroBatchesAreAveragedByTheirValues) {
  Parameters parameters;
  BatchStatistics statistics;
  BatchNorm norm("bn", 2, Initializer(1, at::kDouble, "test"), parameters, &statistics);
  statistics.reset();
  Forward forward;
  forward.training = true;
  forward.statistics = &statistics;
  const at::Tensor a = noise("a", {3, 2});
  const at::Tensor b = noise("b", {5, 2});
  norm.forward(a, forward);
  norm.forward(b, forward);
  EXPECT_EQ(parameters.buffers()[0].tensor.abs().max().item<double>(), 0);
  statistics.update_running();
  const at::Tensor mean = (a.sum(0) + b.sum(0)) / 8;
  const at::Tensor variance = (a.var(0) * 3 + b.var(0) * 5) / 8;
  expect_close(parameters.buffers()[0].tensor, 0.1 * mean, 1e-14, "mean");
  expect_close(parameters.buffers()[1].tensor, 0.9 + 0.1 * variance, 1e-14, "variance");
}

}  // namespace
}  // namespace dbps::model

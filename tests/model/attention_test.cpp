// The attention aggregators against PyTorch's numbers, ragged bags included.
#include "model/attention.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/golden.h"

namespace dbps::model {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

AggregatorOptions small(const std::string& kind) {
  AggregatorOptions options;
  options.kind = kind;
  options.heads = 4;
  options.key_width = 3;
  options.value_width = 5;
  options.mlp_width = 24;
  return options;
}

at::Tensor places(const std::string& name, int64_t rows) {
  return ((noise(name, {rows}) + 1) * 450).floor().to(at::kLong);
}

struct Case {
  std::string golden;
  std::string kind;
  int64_t mlp_layers = 2;
  bool positions = false;
};

void PrintTo(const Case& c, std::ostream* stream) { *stream << c.golden; }

class AttentionGolden : public testing::TestWithParam<Case> {};

TEST_P(AttentionGolden, TokensGradientsAndScanLogits) {
  const Case& c = GetParam();
  const auto golden = read_golden("attention");
  AggregatorOptions options = small(c.kind);
  options.mlp_layers = c.mlp_layers;
  options.position_encoding = c.positions;
  for (const auto& [type, tolerance] : {std::pair{at::kDouble, 1e-12}, {at::kFloat, 1e-5}}) {
    const auto aggregator = make_aggregator(options, kGoldenWidth, 2, type, 1);
    fill(aggregator->parameters());
    at::Tensor salient = (noise("salient", {13, kGoldenWidth}) * 2).to(type).requires_grad_();
    at::Tensor sub_salient =
        (noise("sub_salient", {11, kGoldenWidth}) * 2).to(type).requires_grad_();
    const at::Tensor salient_places = places("salient.places", 13);
    const at::Tensor tokens =
        aggregator->aggregate({salient, kGoldenSalient}, {sub_salient, kGoldenSubSalient},
                              salient_places, places("sub_salient.places", 11), {});
    expect_close(tokens, golden.at(c.golden + ".tokens"), tolerance, "tokens");
    (tokens * noise("loss", tokens.sizes()).to(type)).sum().backward();

    EXPECT_FALSE(sub_salient.grad().defined()) << "nothing flows into the sub-salient rows";
    expect_close(salient.grad(), golden.at(c.golden + ".gradient.salient"), tolerance, "salient");
    for (const NamedTensor& parameter : aggregator->parameters().parameters()) {
      expect_close(parameter.tensor.grad(), golden.at(c.golden + ".gradient." + parameter.name),
                   10 * tolerance, parameter.name);
    }
    expect_close(aggregator->scan_logits(salient, salient_places),
                 golden.at(c.golden + ".scan_logits"), tolerance, "scan logits");
  }
}

INSTANTIATE_TEST_SUITE_P(All, AttentionGolden,
                         testing::Values(Case{"dual", "dual_attention"},
                                         Case{"dual_three", "dual_attention", 3},
                                         Case{"dual_places", "dual_attention", 2, true},
                                         Case{"cross", "cross_attention"},
                                         Case{"cross_places", "cross_attention", 2, true}),
                         [](const auto& info) { return info.param.golden; });

// Opens the parts of equations 5-8.
class Parts : public AttentionAggregator {
 public:
  using AttentionAggregator::attend;
  using AttentionAggregator::AttentionAggregator;
  using AttentionAggregator::normalise;
  using AttentionAggregator::query;
  at::Tensor aggregate(const Ragged&, const Ragged&, const at::Tensor&, const at::Tensor&,
                       const Forward&) override {
    return {};
  }
};

TEST(Attention, IntermediatesOfTheDualAttention) {
  const auto golden = read_golden("attention");
  Parts parts(small("dual_attention"), kGoldenWidth, 2, at::kFloat, 1);
  fill(parts.parameters());
  const at::Tensor salient = (noise("salient", {13, kGoldenWidth}) * 2).to(at::kFloat);
  const at::Tensor sub_salient = (noise("sub_salient", {11, kGoldenWidth}) * 2).to(at::kFloat);
  const at::Tensor z1 =
      parts.attend(parts.query(), pad({salient, kGoldenSalient}), {}) + parts.query();
  expect_close(z1, golden.at("dual.z1"), 1e-5, "Z1");
  for (const int64_t bag : {0, 2}) {  // bag 1 has no sub-salient rows
    const at::Tensor rows =
        sub_salient.slice(0, kGoldenSubSalient[bag], kGoldenSubSalient[bag + 1]);
    const at::Tensor z1_bag = z1.slice(0, bag, bag + 1);
    const at::Tensor z2 = parts.attend(parts.normalise(z1_bag), {rows.unsqueeze(0), {}}, {});
    expect_close(z2[0], golden.at("dual.z2")[bag], 1e-5, "Z2");
    expect_close(parts.normalise(z1_bag + z2)[0], golden.at("dual.z")[bag], 1e-5, "Z");
  }
}

TEST(Attention, ABagAloneEqualsTheBagInARaggedBatch) {
  for (const std::string kind : {"dual_attention", "cross_attention"}) {
    const auto aggregator = make_aggregator(small(kind), kGoldenWidth, 2, at::kDouble, 4);
    const at::Tensor salient = noise("salient", {13, kGoldenWidth});
    const at::Tensor sub_salient = noise("sub_salient", {11, kGoldenWidth});
    const at::Tensor together = aggregator->aggregate({salient, kGoldenSalient},
                                                      {sub_salient, kGoldenSubSalient}, {}, {}, {});
    for (int64_t bag = 0; bag < 3; ++bag) {
      const auto rows = [&](const at::Tensor& values, const std::vector<int64_t>& offsets) {
        return Ragged{values.slice(0, offsets[bag], offsets[bag + 1]),
                      {0, offsets[bag + 1] - offsets[bag]}};
      };
      const at::Tensor alone = aggregator->aggregate(
          rows(salient, kGoldenSalient), rows(sub_salient, kGoldenSubSalient), {}, {}, {});
      expect_close(alone[0], together[bag], 1e-14, kind);
    }
    const at::Tensor without = aggregator->aggregate({salient, kGoldenSalient}, {}, {}, {}, {});
    expect_close(without[1], together[1], 1e-14, kind + " without sub-salient rows");
    EXPECT_FALSE(without[0].allclose(together[0]));
  }
}

TEST(Attention, DropoutBelongsToItsGenerator) {
  const auto mask = [](uint64_t seed) {
    Forward forward;
    forward.training = true;
    forward.generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    return dropout(at::ones({100'000}), 0.1, forward);
  };
  const at::Tensor x = mask(1);
  EXPECT_TRUE(x.equal(mask(1)));
  EXPECT_FALSE(x.equal(mask(2)));
  EXPECT_NEAR((x == 0).to(at::kDouble).mean().item<double>(), 0.1, 0.005);
  EXPECT_FLOAT_EQ(x.max().item<float>(), 1 / 0.9f);
  EXPECT_TRUE(dropout(at::ones({10}), 0.5, {}).equal(at::ones({10})));

  const auto aggregator = make_aggregator(small("dual_attention"), kGoldenWidth, 1, at::kFloat, 4);
  const at::Tensor salient = noise("salient", {13, kGoldenWidth}).to(at::kFloat);
  Forward forward;
  forward.training = true;
  EXPECT_THROW(aggregator->aggregate({salient, kGoldenSalient}, {}, {}, {}, forward), Error);
  forward.generator = at::make_generator<at::CPUGeneratorImpl>(3);
  const at::Tensor dropped = aggregator->aggregate({salient, kGoldenSalient}, {}, {}, {}, forward);
  EXPECT_FALSE(dropped.equal(aggregator->aggregate({salient, kGoldenSalient}, {}, {}, {}, {})));
}

TEST(Attention, RefusesWhatItCannotGive) {
  const auto make = [](AggregatorOptions options, int64_t tasks = 3) {
    return [=] { make_aggregator(options, kGoldenWidth, tasks, at::kFloat, 1); };
  };
  AggregatorOptions options = small("dual_attention");
  options.tokens = 2;
  EXPECT_THAT(make(options), ThrowsMessage<ConfigError>(HasSubstr("aggregator.tokens = 2")));
  options = small("dual_attention");
  options.heads = 3;
  options.key_width = 0;
  EXPECT_THAT(make(options), ThrowsMessage<ConfigError>(HasSubstr("aggregator.key_width = 0")));
  options = small("dual_attention");
  options.dropout = 1;
  EXPECT_THAT(make(options), ThrowsMessage<ConfigError>(HasSubstr("aggregator.dropout = 1")));
  EXPECT_THAT(make(small("mean_attention")),
              ThrowsMessage<ConfigError>(HasSubstr("aggregator.kind = 'mean_attention'")));
}

TEST(Ragged, PadsWithZerosAndMasks) {
  const at::Tensor values = at::arange(1, 7, at::kFloat).view({6, 1});
  const Padded padded = pad({values, {0, 2, 2, 6}});
  EXPECT_TRUE(padded.values.squeeze(2).equal(
      at::tensor({1.f, 2.f, 0.f, 0.f, 0.f, 0.f, 0.f, 0.f, 3.f, 4.f, 5.f, 6.f}).view({3, 4})));
  EXPECT_TRUE(padded.mask.equal(padded.values.squeeze(2) > 0));
  EXPECT_FALSE(pad({values, {0, 3, 6}}).mask.defined());
}

}  // namespace
}  // namespace dbps::model

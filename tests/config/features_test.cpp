// Configurations of feature vectors: nothing in them speaks of pixels.
#include <gmock/gmock.h>

#include "config/minimal.h"

namespace dbps::config {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::string kVectors = R"([experiment]
name = "a"
[data]
store = "store-that-is-nowhere"
[encoder]
kind = "features"
[selection]
salient = 6
[[task]]
name = "tumor"
kind = "binary"
[training]
epochs = 30
)";

Config vectors(const std::vector<std::string>& overrides = {}) {
  return parse(kVectors, "vectors.toml", overrides);
}

TEST(Features, NeedNoSizesAndHaveNoAugmentation) {
  const Config config = vectors();
  EXPECT_EQ(config.data.patch_size, 0);
  EXPECT_EQ(config.augment.translate, 0);
  EXPECT_EQ(config.augment.brightness, 0);
  EXPECT_EQ(config.augment.hue, 0);
  EXPECT_EQ(config.encoder.width_in, 0);
}

TEST(Features, AResolvedConfigurationReadsBackToTheSame) {
  const Config config = vectors({"encoder.features.width_in=1024"});
  const std::string text = to_toml(config, /*comments=*/false);
  const Config again = parse(text, "resolved.toml", {});
  EXPECT_EQ(again.encoder.width_in, 1024);
  EXPECT_EQ(to_toml(again, false), text);
}

TEST(Features, WhatSpeaksOfPixelsIsRefusedByName) {
  for (const char* override_text :
       {"augment.translate=10", "augment.brightness=0.2", "augment.flip=both",
        "augment.rotate90=true", "data.height=900", "data.patch_size=256", "data.mean=[0.5]"}) {
    const std::string key =
        std::string(override_text).substr(0, std::string(override_text).find('='));
    const std::string message = refusal([&] { vectors({override_text}); });
    EXPECT_THAT(message, HasSubstr(key + " = "));
    EXPECT_THAT(message, HasSubstr("says something of pixels"));
  }
  EXPECT_THAT(refused_text(kVectors + "[augment]\nhue = 0.2\n"),
              StartsWith("some/run.toml:15: augment.hue"));
  EXPECT_NO_THROW(vectors({"augment.translate=0", "augment.hue=0.0"}));
  EXPECT_THAT(refusal([] {
                vectors({"selection.method=whole", "selection.salient=0"});
              }),
              HasSubstr("selection.method"));
}

TEST(Features, AWidthIsKeptOnResumeAndAnotherIsRefused) {
  const Config before = vectors({"encoder.features.width_in=1024"});
  Config now = vectors();
  keep_resolved(before, now);
  EXPECT_EQ(now.encoder.width_in, 1024);
  EXPECT_TRUE(resume_conflicts(before, now, {}).empty());
  const auto conflicts = resume_conflicts(before, vectors({"encoder.features.width_in=512"}), {});
  ASSERT_EQ(conflicts.size(), 1u);
  EXPECT_EQ(conflicts[0].key, "encoder.features.width_in");
}

}  // namespace
}  // namespace dbps::config

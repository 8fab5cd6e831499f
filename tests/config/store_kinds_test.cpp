// Sizes, by what the store holds.
#include <gmock/gmock.h>

#include "config/minimal.h"

namespace dbps::config {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::string kWithoutSizes = R"([experiment]
name = "a"
[data]
store = "store-that-is-nowhere"
[selection]
salient = 6
[[task]]
name = "tumor"
[training]
epochs = 30
)";

Config without_sizes(const std::vector<std::string>& overrides = {}) {
  return parse(kWithoutSizes, "tiles.toml", overrides);
}

TEST(StoreKinds, TilesBringTheirSizeAndAreNotMoved) {
  Config config = without_sizes();
  fit_tiles(config, 256);
  EXPECT_EQ(config.data.patch_size, 256);
  EXPECT_EQ(config.data.patch_stride, 256);
  EXPECT_EQ(config.data.resize, data::Resize::kNone);
  EXPECT_EQ(config.augment.translate, 0);
  EXPECT_EQ(config.augment.brightness, 0.1);
  const std::string text = to_toml(config, /*comments=*/false);
  Config again = parse(text, "resolved.toml", {});
  fit_tiles(again, 256);
  EXPECT_EQ(to_toml(again, false), text);
  Config same = without_sizes({"data.patch_size=256"});
  EXPECT_NO_THROW(fit_tiles(same, 256));
}

TEST(StoreKinds, WhatIsWrittenOfWholePicturesIsRefusedWithItsPlace) {
  Config written = parse(kWithoutSizes + "[augment]\ntranslate = 20\n", "tiles.toml", {});
  EXPECT_THAT(refusal([&] { fit_tiles(written, 256); }),
              StartsWith("tiles.toml:12: augment.translate = 20 "));
  for (const char* text : {"data.scale=0.5", "data.patch_size=128", "data.patch_stride=64",
                           "data.fast_decode=true", "data.edge=pad", "data.resize=scale"}) {
    Config config = without_sizes({text});
    const std::string key = std::string(text).substr(0, std::string(text).find('='));
    EXPECT_THAT(refusal([&] { fit_tiles(config, 256); }), HasSubstr(key)) << text;
  }
}

TEST(StoreKinds, PicturesNeedSizes) {
  EXPECT_THAT(refusal([] { fit_pictures(without_sizes()); }), HasSubstr("data.height"));
  EXPECT_THAT(refusal([] { fit_pictures(without_sizes({"data.resize=none"})); }),
              HasSubstr("data.patch_size"));
  EXPECT_THAT(refusal([] {
                fit_pictures(without_sizes({"data.patch_size=0", "data.resize=none"}));
              }),
              StartsWith("--set data.patch_size=0: data.patch_size"));
  EXPECT_NO_THROW(fit_pictures(minimal()));
}

}  // namespace
}  // namespace dbps::config

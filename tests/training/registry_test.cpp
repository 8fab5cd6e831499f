// The names that the configuration accepts are those that the rooms have registered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/schema.h"
#include "model/aggregator.h"
#include "model/encoder.h"
#include "selection/selector.h"

namespace dbps::training {
namespace {

std::vector<std::string> accepted(const std::string& table) {
  std::vector<std::string> names;
  for (const config::Kind& kind : config::kinds()) {
    if (kind.table == table && kind.built) names.push_back(kind.name);
  }
  return names;
}

TEST(Registries, AreWhatTheConfigurationAccepts) {
  EXPECT_THAT(accepted("selection"),
              ::testing::UnorderedElementsAreArray(selection::selector_methods()));
  EXPECT_THAT(accepted("encoder"), ::testing::UnorderedElementsAreArray(model::encoder_kinds()));
  EXPECT_THAT(accepted("aggregator"),
              ::testing::UnorderedElementsAreArray(model::aggregator_kinds()));
}

}  // namespace
}  // namespace dbps::training

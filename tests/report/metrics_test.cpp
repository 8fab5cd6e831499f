#include "report/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "support/test_data.h"

namespace dbps::report {
namespace {

TaskOutputs two_classes(std::vector<std::vector<double>> probabilities,
                        std::vector<std::vector<double>> labels) {
  return {"multiclass", {"a", "b"}, std::move(probabilities), std::move(labels)};
}

TEST(Metrics, EqualScikitLearn) {
  const auto cases =
      nlohmann::json::parse(read_text_file(test_data() / "report/metrics_golden.json"));
  ASSERT_GE(cases.size(), 8u);
  for (const auto& golden : cases) {
    TaskOutputs outputs;
    golden.at("kind").get_to(outputs.kind);
    golden.at("classes").get_to(outputs.classes);
    golden.at("probabilities").get_to(outputs.probabilities);
    golden.at("labels").get_to(outputs.labels);
    SCOPED_TRACE(outputs.kind + " of " + std::to_string(outputs.classes.size()));
    const auto metrics = compute_metrics(outputs);
    EXPECT_EQ(metrics.size(), golden.at("metrics").size());
    for (const auto& [name, expected] : golden.at("metrics").items()) {
      ASSERT_TRUE(metrics.contains(name)) << name;
      EXPECT_NEAR(metrics.at(name), expected.get<double>(), 1e-9) << name;
    }
    if (golden.contains("confusion")) {
      EXPECT_EQ(confusion(outputs),
                golden.at("confusion").get<std::vector<std::vector<int64_t>>>());
    }
    if (golden.contains("calibration")) {
      const auto& expected = golden.at("calibration");
      const std::vector<CalibrationBin> bins = calibration(outputs);
      ASSERT_EQ(bins.size(), expected.at("pictures").size());
      for (size_t i = 0; i < bins.size(); ++i) {
        EXPECT_EQ(bins[i].pictures, expected.at("pictures")[i].get<int64_t>());
        EXPECT_NEAR(bins[i].confidence, expected.at("confidence")[i].get<double>(), 1e-12);
        EXPECT_NEAR(bins[i].accuracy, expected.at("accuracy")[i].get<double>(), 1e-12);
      }
      EXPECT_NEAR(expected_calibration_error(bins), expected.at("error").get<double>(), 1e-12);
    }
  }
}

TEST(Metrics, TiesCountHalf) {
  EXPECT_EQ(roc_auc({0.5, 0.5, 0.5, 0.5}, {true, false, true, false}), 0.5);
  EXPECT_EQ(roc_auc({0.1, 0.5, 0.5, 0.9}, {false, false, true, true}), 0.875);
}

TEST(Metrics, UndefinedOnesAreAbsent) {
  EXPECT_TRUE(compute_metrics(two_classes({}, {})).empty());
  const auto metrics = compute_metrics(two_classes({{0.9, 0.1}, {0.8, 0.2}}, {{0}, {0}}));
  EXPECT_EQ(metrics.at("accuracy"), 1.0);
  EXPECT_FALSE(metrics.contains("auc"));
  EXPECT_FALSE(metrics.contains("kappa"));
}

TEST(Metrics, RefuseWhatIsNotFinite) {
  EXPECT_THROW(compute_metrics(two_classes({{NAN, 0.1}}, {{0}})), RuntimeFault);
  EXPECT_THROW(compute_metrics(two_classes({{0.9, 0.1}}, {{2}})), Error);
}

TEST(Metrics, FiguresOfAClass) {
  const auto figures = class_figures({{3, 1}, {2, 4}});
  EXPECT_EQ(figures[0].pictures, 4);
  EXPECT_DOUBLE_EQ(figures[0].precision, 0.6);
  EXPECT_DOUBLE_EQ(figures[0].recall, 0.75);
  EXPECT_DOUBLE_EQ(figures[0].f1, 2 * 0.6 * 0.75 / (0.6 + 0.75));
  EXPECT_EQ(class_figures({{0, 1}, {0, 1}})[0].precision, 0);
}

}  // namespace
}  // namespace dbps::report

// The harness on a clock that the test moves, and every benchmark on a small case.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "bench/benchmark.h"
#include "bench/harness.h"
#include "bench/report.h"
#include "support/small_store.h"
#include "support/temp_folder.h"
#include "support/tile_store.h"

namespace dbps::bench {
namespace {

using Json = nlohmann::json;
using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class HarnessTest : public ::testing::Test {
 protected:
  HarnessTest() {
    pacing_.rounds = 3;
    pacing_.turn_seconds = 1;
    pacing_.now = [this] { return time_; };
  }

  // Takes the k-th of `seconds` the k-th time, the last of them ever after; 10 units each time.
  Contender taking(std::string name, std::vector<double> seconds) {
    auto runs = std::make_shared<size_t>(0);
    return {name,
            [this, name, seconds, runs] {
              order_ += name;
              time_ += seconds[std::min((*runs)++, seconds.size() - 1)];
              return 10.0;
            },
            nullptr};
  }

  Pacing pacing_;
  double time_ = 0;
  std::string order_;
};

TEST_F(HarnessTest, TakesTurnsAndSharesByTheRound) {
  // The first run is the warm-up; what it takes does not count.
  const Comparison result = compare("x", "units/s", taking("s", {1, 2, 4, 1}),
                                    {{taking("a", {1, 1, 2, 5}), 0.95}}, pacing_);
  EXPECT_EQ(order_,
            "sa"
            "sa"
            "as"
            "sa");
  EXPECT_THAT(result.subject.rates, ElementsAre(5, 2.5, 10));
  ASSERT_THAT(result.limits, SizeIs(1));
  EXPECT_THAT(result.limits[0].measured.rates, ElementsAre(10, 5, 2));
  EXPECT_THAT(result.limits[0].shares, ElementsAre(0.5, 0.5, 5));
  EXPECT_EQ(result.limits[0].asked, 0.95);
  EXPECT_EQ(spread_of(result.limits[0].shares).median, 0.5);
}

TEST_F(HarnessTest, ATurnLastsAsLongAsAsked) {
  const Comparison result =
      compare("x", "units/s", taking("s", {0.3}), {{taking("a", {2})}}, pacing_);
  EXPECT_EQ(order_,
            "sa"
            "ssssa"
            "assss"
            "ssssa");
  EXPECT_THAT(result.subject.rates, Each(DoubleNear(10 / 0.3, 1e-9)));
}

TEST_F(HarnessTest, RanksRunAsOftenAsTheSlowestAsks) {
  pacing_.rounds = 1;
  pacing_.most_of_ranks = [](int64_t) { return int64_t{3}; };
  compare("x", "units/s", taking("s", {1}), {}, pacing_);
  EXPECT_EQ(order_,
            "s"
            "sss");
}

TEST_F(HarnessTest, PreparingIsOffTheClock) {
  Contender subject = taking("s", {1});
  subject.prepare = [this] { time_ += 100; };
  EXPECT_THAT(compare("x", "units/s", subject, {}, pacing_).subject.rates, Each(10));
}

// numpy.percentile(values, [25, 50, 75])
TEST(Spread, IsOfQuartiles) {
  const Spread spread = spread_of({7, 1, 3, 10});
  EXPECT_DOUBLE_EQ(spread.low, 2.5);
  EXPECT_DOUBLE_EQ(spread.median, 5);
  EXPECT_DOUBLE_EQ(spread.high, 7.75);
  EXPECT_EQ(spread_of({4}).high, 4);
}

class BenchmarkTest : public ::testing::Test {
 protected:
  BenchmarkTest() {
    settings_.folder = folder_.path().string();
    settings_.megabytes = 2;
    settings_.threads = 2;
    settings_.rounds = 1;
    settings_.patches = 2;
    settings_.pictures = 1;
    settings_.turn_seconds = 1e-3;
    settings_.world = world_.get();
  }

  Json run(const std::string& name) {
    Report report = find_benchmark(name).run(settings_);
    report.name = name;
    text_ = as_text(this_machine(settings_), {report});
    const Json json = Json::parse(as_json(this_machine(settings_), {report}));
    EXPECT_EQ(json["benchmarks"].size(), 1U);
    return json;
  }

  TempFolder folder_;
  std::unique_ptr<distributed::World> world_ = distributed::make_world();
  Settings settings_;
  std::string text_;
};

void check_rate(const Json& rate) {
  EXPECT_FALSE(rate["name"].get<std::string>().empty());
  EXPECT_EQ(rate["rates"].size(), 1U);
  EXPECT_GT(rate["low"], 0);
  EXPECT_LE(rate["low"], rate["median"]);
  EXPECT_LE(rate["median"], rate["high"]);
}

TEST_F(BenchmarkTest, EachGivesRatesAndShares) {
  for (const Benchmark& benchmark : benchmarks()) {
    if (benchmark.needs_store) continue;
    const Json json = run(benchmark.name);
    EXPECT_EQ(json["machine"]["threads"], 2);
    EXPECT_GE(json["machine"]["cores"], 1);
    const Json& report = json["benchmarks"][0];
    EXPECT_EQ(report["name"], benchmark.name);
    ASSERT_FALSE(report["comparisons"].empty()) << benchmark.name;
    for (const Json& comparison : report["comparisons"]) {
      EXPECT_THAT(comparison["unit"].get<std::string>(), HasSubstr("/s"));
      check_rate(comparison["subject"]);
      ASSERT_FALSE(comparison["limits"].empty()) << benchmark.name;
      for (const Json& limit : comparison["limits"]) {
        check_rate(limit);
        EXPECT_GT(limit["share"], 0);
      }
    }
    EXPECT_THAT(text_, HasSubstr(benchmark.name + ": "));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path())) << "a temporary store was left";
}

TEST_F(BenchmarkTest, ReadsAGivenStore) {
  data::make_store(folder_.path() / "store", {{"a", data::random_picture(200, 200, 1)},
                                              {"b", data::random_picture(300, 200, 2)}});
  settings_.store = (folder_.path() / "store").string();
  EXPECT_THAT(run("read")["benchmarks"][0]["of"].get<std::string>(), HasSubstr("2 bags"));
  EXPECT_THROW(run("decode"), ConfigError);  // PNG
}

TEST_F(BenchmarkTest, ReadsAndDecodesTiles) {
  data::MadeTiles how;
  how.codec = store::Codec::kJpeg;
  data::make_tile_store(folder_.path() / "store", {{"a", 40, true}, {"b", 3, false}}, how);
  settings_.store = (folder_.path() / "store").string();
  EXPECT_THAT(run("read")["benchmarks"][0]["of"].get<std::string>(), HasSubstr("2 bags"));
  EXPECT_THAT(run("decode")["benchmarks"][0]["of"].get<std::string>(), HasSubstr("43 pictures"));
}

TEST_F(BenchmarkTest, PlansAnEpochOfSlides) {
  data::MadeTiles how;
  data::make_tile_store(folder_.path() / "store", {{"a", 40, true}, {"b", 3, false}}, how);
  settings_.store = (folder_.path() / "store").string();
  const Json report = run("plan")["benchmarks"][0];
  EXPECT_THAT(report["of"].get<std::string>(), HasSubstr("in 2 slides"));
  for (const Json& limit : report["comparisons"][0]["limits"]) check_rate(limit);
  EXPECT_THAT(report["notes"][0].get<std::string>(), HasSubstr("to plan an epoch"));
}

TEST(Benchmarks, AnUnknownOneNamesTheNearest) {
  try {
    find_benchmark("raed");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean read?"));
  }
}

}  // namespace
}  // namespace dbps::bench

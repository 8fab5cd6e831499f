#include "report/html.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/error.h"
#include "base/files.h"
#include "image/codec.h"
#include "report/page.h"
#include "report/svg.h"
#include "support/temp_folder.h"

namespace dbps::report {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::HasSubstr;
using testing::Not;

// Ends every kind of context that a name could stand in.
constexpr char kHostile[] = R"(x"'></title></svg></pre><script>alert(1)</script><b onload=a>&{})";

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

Json step_event(int64_t step, double loss) {
  return {{"event", "step"},  {"epoch", 1},
          {"step", step},     {"loss", loss},
          {"images", 16},     {"learning_rate", 1e-4},
          {"seconds", 0.5},   {"phases", {{"scan", 0.3}, {"backward", 0.1}}},
          {"read_wait", 0.02}};
}

Json evaluation_event(int64_t epoch, double accuracy, const std::string& name = "label") {
  return {{"event", "evaluation"},
          {"epoch", epoch},
          {"step", 10 * epoch},
          {"split", "validation"},
          {"loss", 0.4321},
          {"tasks", {{name, {{"accuracy", accuracy}}}}},
          {"confusion", {{name, {{"classes", {name, "other"}}, {"counts", {{31, 7}, {5, 57}}}}}}},
          {"calibration",
           {{name,
             {{{"pictures", 40}, {"confidence", 0.65}, {"accuracy", 0.75}},
              {{"pictures", 60}, {"confidence", 0.9}, {"accuracy", 0.95}}}}}}};
}

void write_events(const fs::path& folder, const std::vector<Json>& events) {
  std::string text;
  for (const Json& event : events) text += event.dump() + "\n";
  make_folders(folder);
  write_file_atomic(folder / "metrics.jsonl", text);
}

// Everything that an element's start could load or run, seen as a browser would.
void expect_self_contained(const std::string& page) {
  EXPECT_THAT(page, Not(HasSubstr("://")));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  const std::regex address("(?:src|href)=\"(?!data:)");
  EXPECT_FALSE(std::regex_search(page, address));
}

void expect_numbers(const std::string& page) {
  EXPECT_FALSE(std::regex_search(page, std::regex("[\\s\">M,(:-](nan|inf)[\\s\"<L,)]")));
}

TEST(Html, ShowsWhatARunMeasured) {
  TempFolder temporary;
  const fs::path folder = temporary.path() / "first";
  write_events(folder,
               {step_event(1, 0.9),
                step_event(2, 0.7),
                evaluation_event(1, 0.875),
                {{"event", "resume"}, {"step", 2}},
                {{"event", "end"},
                 {"seconds", 65},
                 {"best", {{"epoch", 1}, {"metric", "accuracy"}, {"value", 0.875}}}},
                {{"event", "checkpoint"}, {"step", 2}, {"name", "step-00000002"}, {"best", true}}});
  write_file_atomic(folder / "config.toml", "[data]\nstore = \"a<b\"\n");
  write_file_atomic(folder / "provenance.json", R"({"version":"1.2.3","hosts":["n1","n2"]})");
  const std::string page = render_report({folder});
  for (const char* part :
       {"<h1>first</h1>", "Finished: epoch 1, step 2, 1 min 05 s", "resumed 1 time", "0.875",
        ">31<", ">57<", "store = &quot;a&lt;b&quot;", "1.2.3", "n1, n2", "scan", "<title>",
        "4.0 % of the time no batch was ready", "label, validation split, epoch 1: error 0.070"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  EXPECT_EQ(count(page, "<figure class=\"chart\">"), 5u);
  expect_self_contained(page);
}

TEST(Html, KeepsNamesFromBecomingMarkup) {
  TempFolder temporary;
  const std::string folder_name = R"(<script>alert(1)<b onload=a>"'&)";  // no '/' in a name
  const fs::path folder = temporary.path() / folder_name;
  Json end = {{"event", "end"}, {"best", {{"epoch", 1}, {"metric", kHostile}, {"value", 0.5}}}};
  Json evaluation = evaluation_event(1, 0.5, kHostile);
  evaluation["tasks"][kHostile][kHostile] = 0.5;
  Json other_split = evaluation;
  other_split["split"] = kHostile;
  Json step = step_event(1, 0.5);
  step["phases"][kHostile] = 0.1;
  write_events(folder, {step, evaluation, other_split, end});
  write_file_atomic(folder / "config.toml", kHostile);
  write_file_atomic(folder / "provenance.json", Json{{kHostile, kHostile}}.dump());
  make_folders(folder / "maps" / "epoch-0001");
  write_file_atomic(folder / "maps/epoch-0001" / (folder_name + ".jpg"), "no picture");
  for (const auto& runs : {std::vector{folder}, std::vector{folder, folder}}) {
    const std::string page = render_report(runs);
    expect_self_contained(page);
    EXPECT_THAT(page, Not(HasSubstr("<b ")));
    EXPECT_EQ(count(page, "</title>"), count(page, "<title>"));
    EXPECT_EQ(count(page, "</svg>"), count(page, "<svg"));
    EXPECT_EQ(count(page, "</pre>"), count(page, "<pre"));
    EXPECT_GT(count(page, "&lt;/title&gt;&lt;/svg&gt;"), 10u);
    EXPECT_EQ(count(page, "x&quot;&#39;&gt;&lt;/title&gt;"), count(page, "&lt;/title&gt;"));
  }
}

TEST(Html, SaysThatARunGoesOn) {
  TempFolder temporary;
  write_events(temporary.path(),
               {step_event(1, 0.9), {{"event", "end"}, {"seconds", 1}}, step_event(2, 0.9)});
  EXPECT_THAT(render_report({temporary.path()}), HasSubstr("Not finished"));
}

TEST(Html, LeavesOutWhatIsMissing) {
  TempFolder temporary;
  EXPECT_THROW(render_report({temporary.path()}), DataError);
  write_file_atomic(temporary.path() / "metrics.jsonl", "");
  const std::string empty = render_report({temporary.path()});
  EXPECT_THAT(empty, HasSubstr("Not finished"));
  EXPECT_EQ(count(empty, "<section>"), 0u);
  expect_numbers(empty);
}

TEST(Html, BearsBrokenFiles) {
  TempFolder temporary;
  const fs::path folder = temporary.path();
  const std::string events =
      R"({"event":"step","step":1,"loss":null})"
      "\n"
      R"({"event":"step","step":2,"loss":0.25,"seconds":0})"
      "\n"
      R"({"event":"evaluation","split":"validation","tasks":7,"confusion":{"a":{"counts":[[1]]}}})"
      "\n"
      "[]\n7\n\xff\n"
      R"({"event":"st)";
  write_file_atomic(folder / "metrics.jsonl", events);
  write_file_atomic(folder / "provenance.json", "{");
  write_file_atomic(folder / "predictions-test.csv", "id,patient,truth,a,b\np,,a,0.5,many\n");
  const std::string page = render_report({folder});
  EXPECT_THAT(page, HasSubstr("4 unreadable lines left out"));
  EXPECT_THAT(page, HasSubstr("provenance.json could not be read"));
  EXPECT_THAT(page, HasSubstr("is no probability"));
  EXPECT_EQ(count(page, "<figure class=\"chart\">"), 1u);  // the one finite loss
  EXPECT_THAT(page, HasSubstr("class=\"dot\""));
  expect_numbers(page);
}

TEST(Html, CountsPredictionsBeforeTheLastEvaluation) {
  TempFolder temporary;
  const fs::path folder = temporary.path();
  write_events(folder, {evaluation_event(1, 0.5)});
  write_file_atomic(folder / "predictions-test.csv",
                    "id,patient,truth,cat,dog\np,,cat,0.8,0.2\nq,,cat,0.3,0.7\nr,,dog,0.1,0.9\n"
                    "s,,,0.1,0.9\n");
  const std::string page = render_report({folder});
  EXPECT_THAT(page, HasSubstr("cat taken for dog: 1 of 2 (50.0 %)"));
  EXPECT_THAT(page, HasSubstr("dog taken for dog: 1 of 1 (100.0 %)"));
  EXPECT_THAT(page, Not(HasSubstr(">31<")));
  // One row for the accuracy of both: the file's task is the events' only one.
  EXPECT_EQ(count(page, "<th scope=\"row\">Accuracy</th><td>0.500</td><td>0.667</td>"), 1u);
}

TEST(Html, EmbedsTheLatestEpochsMaps) {
  TempFolder temporary;
  const fs::path folder = temporary.path();
  write_events(folder, {step_event(1, 0.5)});
  const std::vector<uint8_t> png = image::encode_png(image::Image(2, 2, 3));
  for (const auto& [epoch, pictures] : {std::pair{"epoch-0002", 3}, std::pair{"epoch-0010", 14}}) {
    make_folders(folder / "maps" / epoch);
    for (int i = 0; i < pictures; ++i) {
      write_file_atomic(folder / "maps" / epoch / fmt::format("{}_{:02}.png", epoch, i),
                        std::span<const uint8_t>(png));
    }
  }
  const std::string page = render_report({folder});
  EXPECT_EQ(count(page, "src=\"data:image/png;base64," + base64(png)), 12u);
  EXPECT_THAT(page, HasSubstr("After epoch 10. The first 12 of 14 pictures."));
  EXPECT_THAT(page, Not(HasSubstr("epoch-0002")));
}

TEST(Html, ComparesRuns) {
  TempFolder temporary;
  const fs::path one = temporary.path() / "a/run", two = temporary.path() / "b/run";
  write_events(one, {step_event(1, 0.9), evaluation_event(1, 0.750)});
  write_events(two, {step_event(1, 0.8), evaluation_event(1, 0.875)});
  const std::string page = render_report({one, two});
  EXPECT_THAT(page, HasSubstr("<td>0.750</td><td>0.875<small>+0.125</small></td>"));
  EXPECT_EQ(count(page, "a/run</li>"), 5u);  // runs of one name are told apart, in each legend
  EXPECT_EQ(count(page, "b/run</li>"), 5u);
  EXPECT_EQ(count(page, "<details class=\"run\">"), 2u);
  expect_self_contained(page);
}

TEST(MetricText, IsShortAndPlain) {
  EXPECT_EQ(metric_text(0.93449), "0.934");
  EXPECT_EQ(metric_text(-0.0004), "0.000");
  EXPECT_EQ(metric_text(-0.25), "-0.250");
  EXPECT_EQ(metric_text(std::nan("")), "\u2013");
  EXPECT_EQ(number_text(1234567), "1,234,567");
  EXPECT_EQ(number_text(-123456), "-123,456");
}

TEST(Base64, EqualsRfc4648) {
  const std::vector<std::pair<std::string, std::string>> vectors{{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(base64({reinterpret_cast<const uint8_t*>(plain.data()), plain.size()}), coded);
  }
}

TEST(Thin, KeepsTheExtremes) {
  std::vector<Point> points;
  for (int i = 0; i < 10000; ++i) points.push_back({double(i), i == 4321 ? 9.0 : i % 7 / 7.0});
  points[8765].y = -9;
  points[5].y = std::nan("");
  const std::vector<Point> thinned = thin(points, 50);
  EXPECT_LE(thinned.size(), 100u);
  const auto [low, high] = std::minmax_element(thinned.begin(), thinned.end(),
                                               [](auto& a, auto& b) { return a.y < b.y; });
  EXPECT_EQ(low->x, 8765);
  EXPECT_EQ(high->x, 4321);
  EXPECT_TRUE(
      std::is_sorted(thinned.begin(), thinned.end(), [](auto& a, auto& b) { return a.x < b.x; }));
}

}  // namespace
}  // namespace dbps::report

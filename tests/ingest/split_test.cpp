// What a split must be: stratified, whole patients, equal for equal seeds.
#include "ingest/split.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/csv.h"
#include "base/error.h"

namespace dbps::ingest {
namespace {

// `patient_size` pictures a patient; a label for each 100 pictures.
std::vector<LabelledPicture> make_pictures(int count, int patient_size) {
  std::vector<LabelledPicture> pictures;
  for (int i = 0; i < count; ++i) {
    const std::string patient = patient_size > 1 ? fmt::format("p{}", i / patient_size) : "";
    pictures.push_back({fmt::format("{:04}", i), fmt::format("class {}", i / 100), patient});
  }
  return pictures;
}

std::map<std::pair<std::string, std::string>, int> count_by_label(
    const std::vector<LabelledPicture>& pictures, const std::vector<Assignment>& assignments) {
  std::map<std::pair<std::string, std::string>, int> count;
  for (size_t i = 0; i < pictures.size(); ++i) {
    ++count[{pictures[i].label, assignments[i].split}];
  }
  return count;
}

TEST(SplitTest, SharesHoldInEveryClass) {
  const auto pictures = make_pictures(300, 1);
  const auto count = count_by_label(pictures, make_split(pictures, {0.1, 0.2, 0, 5}));
  for (int label = 0; label < 3; ++label) {
    const std::string name = fmt::format("class {}", label);
    EXPECT_EQ(count.at({name, "train"}), 70);
    EXPECT_EQ(count.at({name, "validation"}), 10);
    EXPECT_EQ(count.at({name, "test"}), 20);
  }
}

TEST(SplitTest, PatientsStayTogether) {
  const auto pictures = make_pictures(300, 3);
  const auto assignments = make_split(pictures, {0.2, 0.2, 0, 1});
  std::map<std::string, std::set<std::string>> splits;
  std::map<std::string, int> count;
  for (size_t i = 0; i < pictures.size(); ++i) {
    splits[pictures[i].patient].insert(assignments[i].split);
    ++count[assignments[i].split];
  }
  for (const auto& [patient, found] : splits) EXPECT_EQ(found.size(), 1u) << patient;
  EXPECT_NEAR(count["validation"], 60, 6);
  EXPECT_NEAR(count["test"], 60, 6);
}

TEST(SplitTest, TheSeedDecidesAndTheOrderDoesNot) {
  auto pictures = make_pictures(200, 2);
  const SplitOptions options{0.3, 0.0, 0, 7};
  const auto by_id = [](const std::vector<Assignment>& assignments) {
    std::map<std::string, std::string> splits;
    for (const Assignment& assignment : assignments) splits[assignment.id] = assignment.split;
    return splits;
  };
  const auto first = by_id(make_split(pictures, options));
  EXPECT_NE(first, by_id(make_split(pictures, {0.3, 0.0, 0, 8})));
  std::reverse(pictures.begin(), pictures.end());
  EXPECT_EQ(first, by_id(make_split(pictures, options)));
}

TEST(SplitTest, FoldsAreEqualAndStratified) {
  const auto pictures = make_pictures(300, 1);
  const auto assignments = make_split(pictures, {0.1, 0.0, 5, 3});
  std::map<std::pair<std::string, int>, int> count;
  for (size_t i = 0; i < pictures.size(); ++i) ++count[{pictures[i].label, assignments[i].fold}];
  EXPECT_EQ(count.size(), 15u);
  for (const auto& [key, pictures_of_label] : count) EXPECT_EQ(pictures_of_label, 20);
}

TEST(SplitTest, FoldsOfUnevenPatients) {
  std::vector<LabelledPicture> pictures;
  for (int patient = 0; patient < 30; ++patient) {
    for (int i = 0; i <= patient % 6; ++i) {
      pictures.push_back({fmt::format("{}-{}", patient, i), "x", fmt::format("{}", patient)});
    }
  }
  const auto assignments = make_split(pictures, {0.1, 0.0, 3, 3});
  std::map<std::string, std::set<int>> folds;
  std::map<int, int> count;
  for (size_t i = 0; i < pictures.size(); ++i) {
    folds[pictures[i].patient].insert(assignments[i].fold);
    ++count[assignments[i].fold];
  }
  for (const auto& [patient, found] : folds) EXPECT_EQ(found.size(), 1u) << patient;
  for (int fold = 0; fold < 3; ++fold) EXPECT_NEAR(count[fold], 35, 1);
}

TEST(SplitTest, CsvOfFoldsWithATestShare) {
  const auto pictures = make_pictures(100, 1);
  const SplitOptions options{0.1, 0.25, 3, 3};
  const CsvTable table = parse_csv(split_csv(make_split(pictures, options), options), "s.csv");
  ASSERT_EQ(table.columns, (std::vector<std::string>{"id", "fold", "split"}));
  int tests = 0;
  for (const CsvRow& row : table.rows) {
    const bool is_test = row.fields[2] == "test";
    tests += is_test;
    EXPECT_EQ(row.fields[1].empty(), is_test);
  }
  EXPECT_EQ(tests, 25);
}

TEST(SplitTest, ImpossibleSharesAreRefused) {
  EXPECT_THROW(make_split({}, {0.5, 0.5, 0, 0}), ConfigError);
  EXPECT_THROW(make_split({}, {-0.1, 0.0, 0, 0}), ConfigError);
  EXPECT_THROW(make_split({}, {0.1, 0.0, 1, 0}), ConfigError);
}

}  // namespace
}  // namespace dbps::ingest

#include "ingest/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/csv.h"
#include "base/error.h"
#include "base/random.h"

namespace dbps::ingest {
namespace {

// A patient: pictures that stay together.
struct Group {
  std::string name;
  std::vector<size_t> pictures;
};

using Strata = std::map<std::string, std::vector<Group>>;

std::string majority_label(const std::vector<LabelledPicture>& pictures, const Group& group) {
  std::map<std::string, int64_t> count;
  for (const size_t i : group.pictures) ++count[pictures[i].label];
  const auto most = std::max_element(
      count.begin(), count.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most->first;
}

// Ordered by name, then shuffled: the order of the input has no say.
Strata make_strata(const std::vector<LabelledPicture>& pictures, uint64_t seed) {
  std::map<std::string, Group> groups;
  for (size_t i = 0; i < pictures.size(); ++i) {
    // A patient must not be taken for a picture of the same name.
    const std::string name =
        pictures[i].patient.empty() ? "i" + pictures[i].id : "p" + pictures[i].patient;
    groups[name].name = name;
    groups[name].pictures.push_back(i);
  }
  Strata strata;
  for (auto& [name, group] : groups) {
    strata[majority_label(pictures, group)].push_back(std::move(group));
  }
  for (auto& [label, stratum] : strata) {
    RandomStream(seed, Purpose::kSplit, 0, stable_hash(label.data(), label.size()))
        .shuffle(stratum);
  }
  return strata;
}

int64_t num_pictures(const std::vector<Group>& groups) {
  int64_t count = 0;
  for (const Group& group : groups) count += static_cast<int64_t>(group.pictures.size());
  return count;
}

// Moves groups off the end as long as that brings their pictures nearer to `target`.
std::vector<Group> take(std::vector<Group>& groups, int64_t target) {
  std::vector<Group> taken, rest;
  int64_t count = 0;
  for (Group& group : groups) {
    const auto size = static_cast<int64_t>(group.pictures.size());
    const bool nearer = std::abs(count + size - target) < std::abs(count - target);
    if (nearer) count += size;
    (nearer ? taken : rest).push_back(std::move(group));
  }
  groups = std::move(rest);
  return taken;
}

void assign(const std::vector<Group>& groups, const std::string& split,
            std::vector<Assignment>& assignments) {
  for (const Group& group : groups) {
    for (const size_t i : group.pictures) assignments[i].split = split;
  }
}

// Large patients first, each into the fold that has the fewest pictures of this label, then the
// fewest in all.
void assign_folds(std::vector<Group> groups, std::vector<int64_t>& fold_sizes,
                  std::vector<Assignment>& assignments) {
  std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
    return a.pictures.size() > b.pictures.size();
  });
  std::vector<int64_t> of_label(fold_sizes.size());
  for (const Group& group : groups) {
    size_t best = 0;
    for (size_t fold = 1; fold < fold_sizes.size(); ++fold) {
      if (std::pair(of_label[fold], fold_sizes[fold]) <
          std::pair(of_label[best], fold_sizes[best])) {
        best = fold;
      }
    }
    of_label[best] += static_cast<int64_t>(group.pictures.size());
    fold_sizes[best] += static_cast<int64_t>(group.pictures.size());
    for (const size_t i : group.pictures) assignments[i].fold = static_cast<int>(best);
  }
}

void check(const SplitOptions& options) {
  const auto is_share = [](double value) { return value >= 0.0 && value < 1.0; };
  if (!is_share(options.validation) || !is_share(options.test) ||
      options.validation + options.test >= 1.0) {
    throw ConfigError(
        fmt::format("--validation {} and --test {} must be shares that leave some for training",
                    options.validation, options.test));
  }
  if (options.folds != 0 && options.folds < 2) {
    throw ConfigError(fmt::format("--folds {}: at least 2, or leave it out", options.folds));
  }
}

}  // namespace

std::vector<Assignment> make_split(const std::vector<LabelledPicture>& pictures,
                                   const SplitOptions& options) {
  check(options);
  std::vector<Assignment> assignments;
  for (const LabelledPicture& picture : pictures) assignments.push_back({picture.id, "", -1});
  std::vector<int64_t> fold_sizes(options.folds);
  for (auto& [label, groups] : make_strata(pictures, options.seed)) {
    const auto count = static_cast<double>(num_pictures(groups));
    assign(take(groups, std::llround(options.test * count)), "test", assignments);
    if (options.folds > 0) {
      assign_folds(groups, fold_sizes, assignments);
    } else {
      assign(take(groups, std::llround(options.validation * count)), "validation", assignments);
      assign(groups, "train", assignments);
    }
  }
  return assignments;
}

std::string split_csv(const std::vector<Assignment>& assignments, const SplitOptions& options) {
  const bool with_fold = options.folds > 0;
  const bool with_split = !with_fold || options.test > 0.0;
  std::vector<std::string> header = {"id"};
  if (with_fold) header.push_back("fold");
  if (with_split) header.push_back("split");
  std::string text = csv_line(header);
  for (const Assignment& assignment : assignments) {
    std::vector<std::string> fields = {assignment.id};
    if (with_fold) fields.push_back(assignment.fold < 0 ? "" : std::to_string(assignment.fold));
    if (with_split) fields.push_back(assignment.split);
    text += csv_line(fields);
  }
  return text;
}

}  // namespace dbps::ingest

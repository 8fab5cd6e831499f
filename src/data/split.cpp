#include "data/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/split_csv.h"
#include "base/text.h"
#include "data/labels.h"

namespace dbps::data {
namespace {

// The class by which a picture is stratified: of the first task, the first positive one for
// several.
int64_t stratum_of(const Picture& picture) {
  const Label& label = picture.labels.front();
  if (label.empty()) return -1;
  if (label.size() == 1) return static_cast<int64_t>(label[0]);
  return std::find_if(label.begin(), label.end(), [](float value) { return value > 0; }) -
         label.begin();
}

// What one row of a split CSV says.
class SplitColumns {
 public:
  SplitColumns(const CsvTable& table, int64_t fold)
      : table_(table),
        split_(table.find_column("split")),
        fold_(table.find_column("fold")),
        wanted_(std::to_string(fold)) {
    if (!split_ && !fold_) {
      throw DataError(
          fmt::format("{} has neither a column split nor a column fold", table.path.string()));
    }
  }

  Split read(const CsvRow& row) {
    const std::string fold = fold_ ? trim(row.fields[*fold_]) : "";
    if (!fold.empty()) {
      folds_.insert(fold);
      return fold == wanted_ ? Split::kValidation : Split::kTrain;
    }
    if (split_) return parse_split(trim(row.fields[*split_]), place_in(table_, row));
    throw DataError(fmt::format("{}: the fold is empty", place_in(table_, row)));
  }

  void check_fold() const {
    if (folds_.empty() || folds_.contains(wanted_)) return;
    throw ConfigError(fmt::format("data.fold = {}: {} has only the folds {}", wanted_,
                                  table_.path.string(),
                                  join_words({folds_.begin(), folds_.end()})));
  }

 private:
  const CsvTable& table_;
  std::optional<size_t> split_;
  std::optional<size_t> fold_;
  std::string wanted_;
  std::set<std::string> folds_;
};

}  // namespace

void warn_of_divided_patients(const std::vector<Picture>& pictures, const std::string& source) {
  std::map<std::string, std::set<Split>> splits;
  for (const Picture& picture : pictures) {
    if (!picture.patient.empty()) splits[picture.patient].insert(picture.split);
  }
  std::vector<std::string> divided;
  for (const auto& [patient, in] : splits) {
    if (in.size() > 1) divided.push_back(patient);
  }
  if (divided.empty()) return;
  log::warning("{}: {} in more than one split: {}", source,
               counted(static_cast<int64_t>(divided.size()), "patient"), join_words(divided, 3));
}

const char* split_name(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kValidation:
      return "validation";
    default:
      return "test";
  }
}

Split parse_split(const std::string& text, const std::string& where) {
  if (text == "train") return Split::kTrain;
  if (text == "val" || text == "validation") return Split::kValidation;
  if (text == "test") return Split::kTest;
  throw DataError(fmt::format(
      "{}: '{}' is no split: it must be train, validation (or val), or test", where, text));
}

std::vector<int64_t> stratify(const std::vector<SplitItem>& items,
                              const std::vector<double>& shares, int64_t seed) {
  // A group lies in the stratum of its first item.
  std::map<std::string, std::pair<int64_t, size_t>> group_place;
  std::map<int64_t, std::vector<std::vector<size_t>>> strata;
  for (size_t i = 0; i < items.size(); ++i) {
    const auto& [stratum, group] = items[i];
    if (const auto known = group_place.find(group); !group.empty() && known != group_place.end()) {
      strata[known->second.first][known->second.second].push_back(i);
      continue;
    }
    group_place[group] = {stratum, strata[stratum].size()};
    strata[stratum].push_back({i});
  }

  std::vector<int64_t> part_of(items.size());
  std::vector<double> lacking(shares.size(), 0.0);
  for (auto& [stratum, groups] : strata) {
    RandomStream random(static_cast<uint64_t>(seed), Purpose::kSplit, 0,
                        static_cast<uint64_t>(stratum));
    random.shuffle(groups);
    for (const std::vector<size_t>& group : groups) {
      const auto size = static_cast<double>(group.size());
      for (size_t p = 0; p < shares.size(); ++p) lacking[p] += shares[p] * size;
      const auto neediest = std::max_element(lacking.begin(), lacking.end());
      *neediest -= size;
      for (const size_t i : group) part_of[i] = neediest - lacking.begin();
    }
  }
  return part_of;
}

std::vector<bool> read_splits(const std::filesystem::path& path, int64_t fold,
                              std::vector<Picture>& pictures) {
  const CsvTable table = read_split_csv(path);
  const size_t id = find_id_column(table);
  SplitColumns columns(table, fold);
  PictureIds ids;
  for (size_t i = 0; i < pictures.size(); ++i) ids.add(pictures[i].id, static_cast<int64_t>(i));

  std::vector<int> line_of(pictures.size(), 0);
  int64_t unknown = 0;
  for (const CsvRow& row : table.rows) {
    const Split split = columns.read(row);
    const int64_t picture = ids.find(trim(row.fields[id]));
    if (picture < 0) {
      ++unknown;
      continue;
    }
    if (line_of[picture] != 0) {
      throw DataError(fmt::format("{}: '{}' stands there already, in line {}", place_in(table, row),
                                  pictures[picture].id, line_of[picture]));
    }
    line_of[picture] = row.line;
    pictures[picture].split = split;
  }
  columns.check_fold();
  if (unknown > 0) {
    log::warning("{}: {} of {} without a labelled picture", path.string(), unknown,
                 counted(static_cast<int64_t>(table.rows.size()), "row"));
  }
  std::vector<bool> named(pictures.size());
  std::transform(line_of.begin(), line_of.end(), named.begin(), [](int line) { return line != 0; });
  return named;
}

void draw_validation(double fraction, int64_t seed, std::vector<Picture>& pictures) {
  std::vector<size_t> training;
  std::vector<SplitItem> items;
  for (size_t i = 0; i < pictures.size(); ++i) {
    if (pictures[i].split != Split::kTrain) continue;
    training.push_back(i);
    items.push_back({stratum_of(pictures[i]), pictures[i].patient});
  }
  const std::vector<int64_t> parts = stratify(items, {fraction, 1.0 - fraction}, seed);
  for (size_t i = 0; i < training.size(); ++i) {
    if (parts[i] == 0) pictures[training[i]].split = Split::kValidation;
  }
}

}  // namespace dbps::data

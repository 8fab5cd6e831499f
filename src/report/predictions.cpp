#include "report/predictions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/csv.h"
#include "base/error.h"

namespace dbps::report {
namespace {

struct TaskColumns {
  std::string task;
  size_t truth = 0;
  std::vector<size_t> classes;
};

std::string split_of(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  return stem.substr(stem.find('-') + 1);
}

std::vector<TaskColumns> find_tasks(const CsvTable& table) {
  std::vector<TaskColumns> tasks;
  for (size_t column = 0; column < table.columns.size(); ++column) {
    const std::string& name = table.columns[column];
    if (name == "truth") {
      tasks.push_back({"", column, {}});
    } else if (name.ends_with(":truth")) {
      tasks.push_back({name.substr(0, name.size() - 6), column, {}});
    }
  }
  for (TaskColumns& task : tasks) {
    const std::string prefix = task.task.empty() ? "" : task.task + ":";
    for (size_t column = 0; column < table.columns.size(); ++column) {
      const std::string& name = table.columns[column];
      const bool key = name == "id" || name == "patient" || column == task.truth;
      if (!key && name.starts_with(prefix)) task.classes.push_back(column);
    }
  }
  return tasks;
}

std::optional<double> parse_number(const std::string& word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

std::optional<size_t> class_of(const std::string& truth, const std::vector<std::string>& classes) {
  const auto named = std::find(classes.begin(), classes.end(), truth);
  if (named != classes.end()) return static_cast<size_t>(named - classes.begin());
  const auto index = parse_number(truth);
  if (!index || *index < 0 || *index != std::floor(*index)) return std::nullopt;
  if (*index >= static_cast<double>(classes.size())) return std::nullopt;
  return static_cast<size_t>(*index);
}

// A task with one column holds the probability of its positive class; the negative one is named by
// the truths that are not it.
std::vector<std::string> class_names(const CsvTable& table, const TaskColumns& task,
                                     const std::string& prefix) {
  std::vector<std::string> names;
  for (const size_t column : task.classes)
    names.push_back(table.columns[column].substr(prefix.size()));
  if (names.size() != 1) return names;
  std::string negative = "not " + names[0];
  for (const CsvRow& row : table.rows) {
    const std::string& truth = row.fields[task.truth];
    if (!truth.empty() && truth != names[0] && !parse_number(truth)) negative = truth;
  }
  names.insert(names.begin(), negative);
  return names;
}

}  // namespace

std::vector<Predictions> read_predictions(const std::filesystem::path& path) {
  const CsvTable table = read_csv(path);
  std::vector<Predictions> found;
  for (const TaskColumns& task : find_tasks(table)) {
    if (task.classes.empty()) continue;
    const std::string prefix = task.task.empty() ? "" : task.task + ":";
    Predictions predictions{split_of(path), task.task, {}};
    TaskOutputs& outputs = predictions.outputs;
    outputs.kind = task.classes.size() == 1 ? "binary" : "multiclass";
    outputs.classes = class_names(table, task, prefix);
    bool one_label = true;
    for (const CsvRow& row : table.rows) {
      const std::string& truth = row.fields[task.truth];
      if (truth.empty()) continue;
      const auto label = class_of(truth, outputs.classes);
      one_label = one_label && label.has_value();
      if (!one_label) break;
      std::vector<double> probabilities;
      for (const size_t column : task.classes) {
        const auto value = parse_number(row.fields[column]);
        if (!value || !std::isfinite(*value)) {
          throw DataError(fmt::format("{}:{}: \"{}\" in the column {} is no probability",
                                      path.string(), row.line, row.fields[column],
                                      table.columns[column]));
        }
        probabilities.push_back(*value);
      }
      outputs.probabilities.push_back(std::move(probabilities));
      outputs.labels.push_back({static_cast<double>(*label)});
    }
    if (one_label && !outputs.labels.empty()) found.push_back(std::move(predictions));
  }
  return found;
}

}  // namespace dbps::report

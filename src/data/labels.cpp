#include "data/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace dbps::data {
namespace {

std::optional<double> as_number(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) return {};
  return value;
}

void sort_classes(std::vector<std::string>& classes) {
  const bool numeric = std::all_of(classes.begin(), classes.end(),
                                   [](const std::string& name) { return as_number(name); });
  std::sort(classes.begin(), classes.end());
  if (!numeric) return;
  std::stable_sort(classes.begin(), classes.end(), [](const std::string& a, const std::string& b) {
    return *as_number(a) < *as_number(b);
  });
}

std::vector<std::string> class_names(const TaskColumn& task, const std::string& value) {
  if (task.kind != "multilabel") return {trim(value)};
  std::string text = value;
  std::replace(text.begin(), text.end(), '|', ';');
  std::vector<std::string> names;
  for (const std::string& part : split(text, ';')) {
    if (std::string name = trim(part); !name.empty()) names.push_back(std::move(name));
  }
  return names;
}

std::string hint(const std::string& found) {
  return found.empty() ? "" : fmt::format("; did you mean '{}'?", found);
}

float class_index(const TaskColumn& task, const std::string& name, const std::string& where) {
  const auto found = std::find(task.classes.begin(), task.classes.end(), name);
  if (found != task.classes.end()) return static_cast<float>(found - task.classes.begin());
  if (task.kind == "binary" && (name == "0" || name == "1")) return name == "1" ? 1.0f : 0.0f;
  throw DataError(fmt::format("{}: '{}' is no class of the task '{}'{} (classes: {})", where, name,
                              task.name, hint(nearest(name, task.classes)),
                              join_words(task.classes)));
}

}  // namespace

int64_t PictureIds::find(const std::string& id) const {
  if (const auto found = picture_of_.find(id); found != picture_of_.end()) return found->second;
  const auto found = picture_of_.find(without_extension(id));
  return found == picture_of_.end() ? -1 : found->second;
}

std::string place_in(const CsvTable& table, const CsvRow& row) {
  return fmt::format("{}:{}", table.path.string(), row.line);
}

size_t find_id_column(const CsvTable& table) {
  if (const auto column = table.find_any({"id", "slide_id", "path"})) return *column;
  throw DataError(fmt::format(
      "{} has no column id (or slide_id, or path) that says which picture a row is about; its "
      "columns are {}",
      table.path.string(), join_words(table.columns)));
}

std::vector<LabelRow> read_labels(const std::filesystem::path& path,
                                  const std::vector<TaskColumn>& tasks) {
  const CsvTable table = read_csv(path);
  const size_t id = find_id_column(table);
  const auto patient = table.find_any({"patient", "case_id"});
  const auto split_column = table.find_column("split");
  std::vector<size_t> columns;
  for (const TaskColumn& task : tasks) {
    const auto column = table.find_column(task.column);
    if (!column) {
      throw ConfigError(fmt::format(
          "task '{}': {} has no column '{}'{} (columns: {})", task.name, path.string(), task.column,
          hint(nearest(task.column, table.columns)), join_words(table.columns)));
    }
    columns.push_back(*column);
  }
  std::vector<LabelRow> rows;
  for (const CsvRow& row : table.rows) {
    LabelRow entry;
    entry.where = place_in(table, row);
    entry.id = trim(row.fields[id]);
    if (entry.id.empty()) throw DataError(fmt::format("{}: the id is empty", entry.where));
    if (patient) entry.patient = trim(row.fields[*patient]);
    if (split_column) entry.split = trim(row.fields[*split_column]);
    for (const size_t column : columns) entry.values.push_back(trim(row.fields[column]));
    rows.push_back(std::move(entry));
  }
  return rows;
}

void find_classes(TaskColumn& task, const std::vector<std::string>& values) {
  if (!task.classes.empty()) return;
  std::set<std::string> names;
  for (const std::string& value : values) {
    if (value.empty()) continue;
    for (std::string& name : class_names(task, value)) names.insert(std::move(name));
  }
  const bool zero_one = !names.empty() && std::all_of(names.begin(), names.end(), [](auto& name) {
    return name == "0" || name == "1";
  });
  if (task.kind == "binary" && zero_one) names = {"0", "1"};
  task.classes.assign(names.begin(), names.end());
  sort_classes(task.classes);
  const size_t least = task.kind == "multilabel" ? 1 : 2;
  if (task.classes.size() < least || (task.kind == "binary" && task.classes.size() > 2)) {
    throw DataError(fmt::format(
        "task '{}': the labelled pictures have {} in the column '{}'; a {} task needs {}",
        task.name, task.classes.empty() ? "no class" : "the classes " + join_words(task.classes),
        task.column, task.kind, task.kind == "binary" ? "two" : fmt::format("at least {}", least)));
  }
}

Label parse_label(const TaskColumn& task, const std::string& value, const std::string& where) {
  if (value.empty()) return {};
  const std::vector<std::string> names = class_names(task, value);
  if (task.kind != "multilabel") return {class_index(task, names.front(), where)};
  Label label(task.classes.size(), 0.0f);
  for (const std::string& name : names) {
    label[static_cast<size_t>(class_index(task, name, where))] = 1.0f;
  }
  return label;
}

}  // namespace dbps::data

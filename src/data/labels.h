// Reading the labels CSV: its columns, its classes, its values.
#pragma once

#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/csv.h"
#include "data/dataset.h"

namespace dbps::data {

// Finds pictures by the id that a CSV gives them.
class PictureIds {
 public:
  void add(const std::string& id, int64_t picture) { picture_of_.emplace(id, picture); }
  // The very id, or else the id without a file's extension ("a/b.png" finds a/b); -1 when absent.
  int64_t find(const std::string& id) const;

 private:
  std::unordered_map<std::string, int64_t> picture_of_;
};

struct LabelRow {
  std::string where;  // "labels.csv:12", for messages
  std::string id;
  std::string patient;
  std::string split;
  std::vector<std::string> values;  // a task; "" when not labelled
};

// "FILE:LINE", for messages.
std::string place_in(const CsvTable& table, const CsvRow& row);

// The column that holds ids: id, slide_id or path. Throws DataError when there is none.
size_t find_id_column(const CsvTable& table);

// Throws ConfigError for a task whose column the file lacks, DataError for the file.
std::vector<LabelRow> read_labels(const std::filesystem::path& path,
                                  const std::vector<TaskColumn>& tasks);

// Fills in a task's classes from its values where none are given: sorted, numbers numerically.
// Throws DataError when there are not at least two, or more than two for a binary task.
void find_classes(TaskColumn& task, const std::vector<std::string>& values);

// Empty for "". A multilabel value of separators alone (";") is labelled with no class. Throws
// DataError naming `where`, the class and the nearest known one.
Label parse_label(const TaskColumn& task, const std::string& value, const std::string& where);

}  // namespace dbps::data

#include "base/split_csv.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace dbps {
namespace {

// Columns of a split each.
std::vector<size_t> split_columns(const CsvTable& table) {
  for (const char* name : {"id", "slide_id", "path", "split", "fold"}) {
    if (table.find_column(name)) return {};
  }
  std::vector<size_t> columns;
  for (const char* name : {"train", "val", "validation", "test"}) {
    if (const auto column = table.find_column(name)) columns.push_back(*column);
  }
  const bool trains = !columns.empty() && table.columns[columns.front()] == "train";
  return trains && columns.size() > 1 ? columns : std::vector<size_t>{};
}

// pandas writes True, spreadsheets TRUE.
bool is_truth(const std::string& value) {
  const std::string lower = to_lower(value);
  return lower == "true" || lower == "false";
}

bool all_truths(const CsvTable& table, const std::vector<size_t>& columns) {
  return !table.rows.empty() &&
         std::all_of(table.rows.begin(), table.rows.end(), [&](const CsvRow& row) {
           return std::all_of(columns.begin(), columns.end(),
                              [&](size_t column) { return is_truth(trim(row.fields[column])); });
         });
}

void add_truth(const CsvTable& table, const CsvRow& row, const std::vector<size_t>& columns,
               CsvTable& plain) {
  std::string split;
  int count = 0;
  for (const size_t column : columns) {
    if (to_lower(trim(row.fields[column])) != "true") continue;
    split = table.columns[column];
    ++count;
  }
  if (count != 1) {
    throw DataError(fmt::format("{}:{}: '{}' is in {} splits, not in one", table.path.string(),
                                row.line, row.fields.front(), count));
  }
  plain.rows.push_back({row.line, {row.fields.front(), split}});
}

}  // namespace

CsvTable read_split_csv(const std::filesystem::path& path) {
  CsvTable table = read_csv(path);
  const std::vector<size_t> columns = split_columns(table);
  if (columns.empty()) return table;
  const bool truths = all_truths(table, columns);
  if (truths && columns.front() == 0) {
    throw DataError(fmt::format("{} has no column that names the slides", path.string()));
  }
  CsvTable plain{path, {"id", "split"}, {}};
  for (const CsvRow& row : table.rows) {
    if (truths) {
      add_truth(table, row, columns, plain);
      continue;
    }
    for (const size_t column : columns) {
      const std::string id = trim(row.fields[column]);
      if (!id.empty()) plain.rows.push_back({row.line, {id, table.columns[column]}});
    }
  }
  return plain;
}

}  // namespace dbps

// CSV as people and spreadsheets write it: quoted fields, CRLF, a byte-order mark, blank lines.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbps {

struct CsvRow {
  int line = 0;  // 1-based line of the file where the row starts
  std::vector<std::string> fields;
};

struct CsvTable {
  std::filesystem::path path;  // for messages
  std::vector<std::string> columns;
  std::vector<CsvRow> rows;

  std::optional<size_t> find_column(std::string_view name) const;
  // Of the first of `names` that there is.
  std::optional<size_t> find_any(std::initializer_list<std::string_view> names) const;
};

// With a header line. Throws DataError with file and line for a row with more fields than columns,
// an open quote, or a column named twice. Rows with fewer fields are filled with empty ones.
CsvTable read_csv(const std::filesystem::path& path);
CsvTable parse_csv(std::string_view text, const std::filesystem::path& path);

// Quotes a field where it must be quoted.
std::string csv_field(std::string_view value);
// One line, with the line feed.
std::string csv_line(const std::vector<std::string>& fields);

}  // namespace dbps

#include "base/csv.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"

namespace dbps {
namespace {

// Splits text into rows; a quoted field may hold separators, quotes (doubled) and line ends.
class Parser {
 public:
  Parser(std::string_view text, const std::filesystem::path& path) : text_(text), path_(path) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  std::optional<CsvRow> next() {
    while (position_ < text_.size()) {
      CsvRow row = read_row();
      const bool blank = row.fields.size() == 1 && row.fields[0].empty();
      if (!blank) return row;
    }
    return std::nullopt;
  }

 private:
  CsvRow read_row() {
    CsvRow row;
    row.line = line_;
    do {
      row.fields.push_back(peek() == '"' ? read_quoted() : read_plain());
    } while (take(','));
    take('\r');
    if (take('\n')) ++line_;
    return row;
  }

  std::string read_plain() {
    const size_t start = position_;
    while (position_ < text_.size() && peek() != ',' && peek() != '\n' && peek() != '\r') {
      ++position_;
    }
    return std::string(text_.substr(start, position_ - start));
  }

  std::string read_quoted() {
    const int opened = line_;
    std::string value;
    ++position_;
    while (position_ < text_.size()) {
      const char c = text_[position_++];
      if (c != '"') {
        if (c == '\n') ++line_;
        value += c;
      } else if (take('"')) {
        value += '"';
      } else {
        const char after = peek();
        if (position_ < text_.size() && after != ',' && after != '\n' && after != '\r') {
          throw DataError(fmt::format("{}:{}: text after a closing quote", path_.string(), line_));
        }
        return value;
      }
    }
    throw DataError(fmt::format("{}:{}: a quote that never closes", path_.string(), opened));
  }

  char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
  bool take(char c) {
    if (position_ < text_.size() && text_[position_] == c) {
      ++position_;
      return true;
    }
    return false;
  }

  std::string_view text_;
  const std::filesystem::path& path_;
  size_t position_ = 0;
  int line_ = 1;
};

}  // namespace

std::optional<size_t> CsvTable::find_column(std::string_view name) const {
  const auto found = std::find(columns.begin(), columns.end(), name);
  if (found == columns.end()) return std::nullopt;
  return static_cast<size_t>(found - columns.begin());
}

std::optional<size_t> CsvTable::find_any(std::initializer_list<std::string_view> names) const {
  for (const std::string_view name : names) {
    if (const auto column = find_column(name)) return column;
  }
  return std::nullopt;
}

CsvTable parse_csv(std::string_view text, const std::filesystem::path& path) {
  CsvTable table;
  table.path = path;
  Parser parser(text, path);
  std::optional<CsvRow> header = parser.next();
  if (!header) throw DataError(fmt::format("{} is empty: it needs a header line", path.string()));
  table.columns = std::move(header->fields);
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const auto first =
        std::find(table.columns.begin(), table.columns.begin() + i, table.columns[i]);
    if (first != table.columns.begin() + i && !table.columns[i].empty()) {
      throw DataError(fmt::format("{}:{}: the column '{}' stands there twice", path.string(),
                                  header->line, table.columns[i]));
    }
  }
  while (std::optional<CsvRow> row = parser.next()) {
    if (row->fields.size() > table.columns.size()) {
      throw DataError(fmt::format("{}:{}: {} fields, but the header has {} columns", path.string(),
                                  row->line, row->fields.size(), table.columns.size()));
    }
    row->fields.resize(table.columns.size());
    table.rows.push_back(std::move(*row));
  }
  return table;
}

CsvTable read_csv(const std::filesystem::path& path) {
  return parse_csv(read_text_file(path), path);
}

std::string csv_field(std::string_view value) {
  if (value.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(value);
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) line += ',';
    line += csv_field(fields[i]);
  }
  return line + '\n';
}

}  // namespace dbps

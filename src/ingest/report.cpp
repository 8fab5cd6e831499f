#include "ingest/report.h"

#include <map>
#include <nlohmann/json.hpp>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Of an earlier ingest; none where they had other columns, or the file is no longer one.
std::map<std::string, std::vector<std::string>> read_rows(const fs::path& path,
                                                          const std::vector<std::string>& columns) {
  std::map<std::string, std::vector<std::string>> rows;
  if (!fs::exists(path)) return rows;
  try {
    const CsvTable table = read_csv(path);
    if (table.columns != columns) return rows;
    for (const CsvRow& row : table.rows) rows[row.fields[0]] = row.fields;
  } catch (const DataError&) {
    rows.clear();
  }
  return rows;
}

}  // namespace

std::string outcomes_to_text(const std::vector<Outcome>& outcomes) {
  json lines = json::array();
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const Outcome& outcome = outcomes[i];
    if (outcome.kind == Outcome::kFailed) lines.push_back({i, outcome.reason});
    if (outcome.kind != Outcome::kKept) continue;
    const MadeBag& made = outcome.made;
    lines.push_back({i, made.source_bytes, made.stored_bytes, made.modes, made.report});
  }
  // A name that is not UTF-8 is one of the reasons to fail.
  return lines.dump(-1, ' ', false, json::error_handler_t::replace);
}

void take_outcomes(const std::string& text, std::vector<Outcome>& outcomes) {
  for (const json& line : json::parse(text)) {
    Outcome& outcome = outcomes.at(line.at(0));
    if (line.size() == 2) {
      outcome.kind = Outcome::kFailed;
      outcome.reason = line.at(1);
    } else {
      outcome.kind = Outcome::kKept;
      outcome.made = {line.at(1), line.at(2), line.at(3), line.at(4)};
    }
  }
}

void write_failed(const fs::path& store, const std::vector<FailedSource>& failed) {
  const fs::path path = store / "failed.csv";
  std::string text = csv_line({"path", "reason"});
  for (const FailedSource& source : failed) {
    text += csv_line({source.path.string(), source.reason});
  }
  std::error_code ignored;
  if (failed.empty()) {
    fs::remove(path, ignored);
  } else {
    write_file_atomic(path, text);
  }
}

void write_report(const fs::path& store, const SourceList& sources,
                  const std::vector<std::string>& columns, const std::vector<Outcome>& outcomes) {
  std::vector<std::string> header = {"id", "path", "outcome", "reason"};
  header.insert(header.end(), columns.begin(), columns.end());
  const fs::path path = store / "slides.csv";
  auto rows = read_rows(path, header);
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const Outcome& outcome = outcomes[i];
    if (outcome.kind != Outcome::kKept && outcome.kind != Outcome::kFailed) continue;
    const SourcePicture& picture = sources.pictures[i];
    const char* word = outcome.kind == Outcome::kKept ? "kept" : "failed";
    std::vector<std::string> row = {picture.id, picture.path.string(), word, outcome.reason};
    row.insert(row.end(), outcome.made.report.begin(), outcome.made.report.end());
    row.resize(header.size());
    rows[picture.id] = std::move(row);
  }
  std::string text = csv_line(header);
  for (const auto& [id, row] : rows) text += csv_line(row);
  write_file_atomic(path, text);
}

}  // namespace dbps::ingest

#include "ingest/labels.h"

#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

size_t id_column(const CsvTable& table) {
  for (const char* name : {"id", "slide_id", "path"}) {
    if (const auto column = table.find_column(name)) return *column;
  }
  throw DataError(
      fmt::format("{} has no column 'id' (or slide_id, path): add it, or remove the "
                  "file to have it written again",
                  table.path.string()));
}

CsvTable existing_or_new(const fs::path& path) {
  if (fs::exists(path)) return read_csv(path);
  return {path, {"id"}, {}};
}

}  // namespace

fs::path labels_path(const fs::path& store) { return store / "labels.csv"; }

int64_t merge_labels(const fs::path& store, const SourceList& list,
                     const std::vector<char>& is_kept) {
  CsvTable table = existing_or_new(labels_path(store));
  const size_t id = id_column(table);
  std::set<std::string> known;
  for (const CsvRow& row : table.rows) {
    known.insert(trim(row.fields[id]));
    known.insert(without_source_extension(trim(row.fields[id])));
  }
  std::vector<size_t> places;
  for (const std::string& name : list.columns) {
    if (!table.find_column(name)) table.columns.push_back(name);
    places.push_back(*table.find_column(name));
  }
  int64_t added = 0;
  for (size_t i = 0; i < list.pictures.size(); ++i) {
    const SourcePicture& picture = list.pictures[i];
    if (!is_kept[i] || known.contains(picture.id)) continue;
    CsvRow row{0, std::vector<std::string>(table.columns.size())};
    row.fields[id] = picture.id;
    for (size_t c = 0; c < places.size(); ++c) row.fields[places[c]] = picture.values[c];
    table.rows.push_back(std::move(row));
    ++added;
  }
  if (added == 0) return 0;
  std::string text = csv_line(table.columns);
  for (CsvRow& row : table.rows) {
    row.fields.resize(table.columns.size());
    text += csv_line(row.fields);
  }
  write_file_atomic(labels_path(store), text);
  return added;
}

}  // namespace dbps::ingest

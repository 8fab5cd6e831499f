#include "ingest/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "ingest/extensions.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

size_t id_column(const CsvTable& table, const char* remedy = "") {
  if (const auto column = table.find_any({"id", "slide_id", "path"})) return *column;
  throw DataError(
      fmt::format("{} has no column 'id' (or slide_id, path){}", table.path.string(), remedy));
}

// Pictures by what a CSV may call them; null where several have the name.
using Names = std::map<std::string, SourcePicture*>;

Names whole_ids(SourceList& list) {
  Names names;
  for (SourcePicture& picture : list.pictures) names[picture.id] = &picture;
  return names;
}

Names last_parts(SourceList& list) {
  Names names;
  for (SourcePicture& picture : list.pictures) {
    const auto [at, is_new] = names.emplace(fs::path(picture.id).filename().string(), &picture);
    if (!is_new) at->second = nullptr;
  }
  return names;
}

SourcePicture* find(const Names& names, const std::string& written) {
  auto found = names.find(written);
  if (found == names.end()) found = names.find(without_extension(written));
  return found == names.end() ? nullptr : found->second;
}

// The picture of each row, null where there is none. A picture that a row calls by its whole id is
// no other row's.
std::vector<SourcePicture*> pictures_of_rows(SourceList& list, const CsvTable& table, size_t key) {
  std::vector<SourcePicture*> pictures;
  std::set<const SourcePicture*> named;
  const Names ids = whole_ids(list);
  for (const CsvRow& row : table.rows) {
    pictures.push_back(find(ids, trim(row.fields[key])));
    named.insert(pictures.back());
  }
  const Names parts = last_parts(list);
  for (size_t i = 0; i < pictures.size(); ++i) {
    if (pictures[i] != nullptr) continue;
    SourcePicture* picture = find(parts, trim(table.rows[i].fields[key]));
    if (!named.contains(picture)) pictures[i] = picture;
  }
  return pictures;
}

// What a CSV may say of a picture that is no label.
bool holds_labels(const CsvTable& table) {
  static const std::set<std::string> kOthers = {"",        "id",    "slide_id", "path", "patient",
                                                "case_id", "split", "fold",     "mpp"};
  return std::any_of(table.columns.begin(), table.columns.end(),
                     [](const std::string& name) { return !kOthers.contains(name); });
}

void forget_folders(SourceList& list) {
  const auto place = static_cast<std::ptrdiff_t>(list.column("label"));
  list.columns.erase(list.columns.begin() + place);
  for (SourcePicture& picture : list.pictures) {
    picture.values.erase(picture.values.begin() + place);
  }
  list.labels_are_folders = false;
}

CsvTable existing_or_new(const fs::path& store) {
  const fs::path path = labels_path(store);
  if (fs::exists(path)) return read_csv(path);
  return {path, {"id"}, {}};
}

size_t id_column_of_store(const CsvTable& labels) {
  return id_column(labels, ": add it, or remove the file to have it written again");
}

// By what labels.csv calls them, with and without extension.
std::map<std::string, const CsvRow*> rows_by_id(const CsvTable& labels, size_t id) {
  std::map<std::string, const CsvRow*> rows;
  for (const CsvRow& row : labels.rows) {
    const std::string name = trim(row.fields[id]);
    rows[name] = rows[without_source_extension(name)] = &row;
  }
  return rows;
}

}  // namespace

Unmatched add_columns(SourceList& list, const CsvTable& table) {
  const size_t key = id_column(table);
  std::map<size_t, size_t> places;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if (i == key || table.columns[i].empty()) continue;
    places[i] = list.column(table.columns[i]);
    for (SourcePicture& picture : list.pictures) picture.values[places[i]].clear();
  }
  const std::vector<SourcePicture*> pictures = pictures_of_rows(list, table, key);
  std::map<const SourcePicture*, int> line_of;
  Unmatched unmatched;
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const CsvRow& row = table.rows[i];
    if (pictures[i] == nullptr) {
      unmatched.rows.push_back(trim(row.fields[key]));
      continue;
    }
    const auto [first, is_new] = line_of.emplace(pictures[i], row.line);
    if (!is_new) {
      throw DataError(fmt::format("{}: lines {} and {} both speak of '{}'", table.path.string(),
                                  first->second, row.line, pictures[i]->id));
    }
    for (const auto& [from, to] : places) pictures[i]->values[to] = trim(row.fields[from]);
  }
  for (const SourcePicture& picture : list.pictures) {
    if (!line_of.contains(&picture)) unmatched.pictures.push_back(picture.id);
  }
  return unmatched;
}

Unmatched add_labels(SourceList& list, const CsvTable& table) {
  if (list.labels_are_folders && holds_labels(table)) forget_folders(list);
  return add_columns(list, table);
}

fs::path labels_path(const fs::path& store) { return store / "labels.csv"; }

int64_t merge_labels(const fs::path& store, const SourceList& list,
                     const std::vector<char>& is_kept) {
  CsvTable table = existing_or_new(store);
  const size_t id = id_column_of_store(table);
  std::set<std::string> known;
  for (const auto& [name, row] : rows_by_id(table, id)) known.insert(name);
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

std::vector<std::string> rows_that_stay(const fs::path& store, const SourceList& list,
                                        const CsvTable& table) {
  const CsvTable labels = existing_or_new(store);
  const auto rows = rows_by_id(labels, id_column_of_store(labels));
  const std::set<std::string> said(table.columns.begin(), table.columns.end());
  std::vector<std::string> ids;
  for (const SourcePicture& picture : list.pictures) {
    const auto row = rows.find(picture.id);
    if (row == rows.end()) continue;
    const auto is_other = [&](size_t c) {
      const std::string& value = picture.values[c];
      if (value.empty() || !said.contains(list.columns[c])) return false;
      const auto place = labels.find_column(list.columns[c]);
      return !place || trim(row->second->fields[*place]) != value;
    };
    for (size_t c = 0; c < list.columns.size(); ++c) {
      if (!is_other(c)) continue;
      ids.push_back(picture.id);
      break;
    }
  }
  return ids;
}

}  // namespace dbps::ingest

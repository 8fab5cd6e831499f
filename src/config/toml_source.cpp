#include "config/toml_source.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "config/schema.h"

namespace dbps::config {
namespace {

// Reads values out of one parsed text; keeps its lines, since toml++ keeps no token of a number.
class Reader {
 public:
  Reader(const std::string& text, std::string name)
      : lines_(split(text, '\n')), name_(std::move(name)) {}

  std::string place(const toml::source_region& region) const {
    return fmt::format("{}:{}", name_, region.begin.line);
  }

  Value value(const toml::node& node) const {
    if (const auto* flag = node.as_boolean()) return Value{flag->get(), "", false};
    if (const auto* text = node.as_string()) return Value{text->get(), "", false};
    if (const auto* integer = node.as_integer()) {
      return Value{integer->get(), token(node.source().begin), false};
    }
    if (const auto* number = node.as_floating_point()) {
      return Value{number->get(), token(node.source().begin), false};
    }
    if (const auto* array = node.as_array()) {
      Value::List list;
      for (const toml::node& entry : *array) list.push_back(value(entry));
      return Value{list, "", false};
    }
    return Value{std::monostate(), node.is_table() ? "a table" : "a date or time", false};
  }

  std::vector<Entry> entries(const std::string& table_name, const toml::table& table) const {
    std::vector<Entry> all;
    for (const auto& [key, node] : table) {
      all.push_back({table_name, std::string(key.str()), value(node), place(key.source()),
                     static_cast<int>(key.source().begin.line)});
    }
    sort(all);
    return all;
  }

  static void sort(std::vector<Entry>& entries) {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.line < b.line; });
  }

 private:
  // Columns count characters, not bytes.
  std::string token(const toml::source_position& begin) const {
    if (begin.line == 0 || begin.line > lines_.size()) return "";
    const std::string& line = lines_[begin.line - 1];
    size_t at = 0;
    for (toml::source_index column = 1; at < line.size(); ++at) {
      const bool starts_character = (static_cast<unsigned char>(line[at]) & 0xc0) != 0x80;
      if (starts_character && column++ == begin.column) break;
    }
    const size_t end = line.find_first_of(" \t\r,]}#", at);
    return line.substr(at, end - at);
  }

  std::vector<std::string> lines_;
  std::string name_;
};

void add_table(const Reader& reader, const std::string& name, const toml::table& table,
               Document& document) {
  document.tables.push_back(name);
  document.table_places.push_back(reader.place(table.source()));
  for (Entry& entry : reader.entries(name, table)) {
    const toml::table* inner = table[entry.name].as_table();
    if (inner != nullptr && find_key(name, entry.name) == nullptr) {
      add_table(reader, name + "." + entry.name, *inner, document);
    } else {
      document.entries.push_back(std::move(entry));
    }
  }
}

void add_tasks(const Reader& reader, const toml::node& node, Document& document) {
  const toml::array* array = node.as_array();
  if (array == nullptr || !array->is_homogeneous<toml::table>()) {
    throw ConfigError(reader.place(node.source()) + ": tasks are written as tables [[task]]");
  }
  for (const toml::node& task : *array) {
    document.tasks.push_back(reader.entries("task", *task.as_table()));
    document.task_places.push_back(reader.place(task.source()));
  }
}

}  // namespace

Document read_document(const std::string& text, const std::string& name) {
  toml::table root;
  try {
    root = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    throw ConfigError(
        fmt::format("{}:{}: {}", name, error.source().begin.line, error.description()));
  }
  const Reader reader(text, name);
  Document document;
  for (Entry& entry : reader.entries("", root)) {
    const toml::node& node = *root.get(entry.name);
    if (entry.name == "task") {
      add_tasks(reader, node, document);
    } else if (node.is_table()) {
      add_table(reader, entry.name, *node.as_table(), document);
    } else {
      document.entries.push_back(std::move(entry));
    }
  }
  Reader::sort(document.entries);
  return document;
}

Value read_override(const std::string& text) {
  Value value{text, text, true};
  if (text.find('\n') != std::string::npos) return value;
  try {
    const std::string line = "value = " + text;
    const toml::table table = toml::parse(line);
    const Value parsed = Reader(line, "").value(*table.get("value"));
    if (parsed.data.index() != 0) value.data = parsed.data;
  } catch (const toml::parse_error&) {
    return value;  // a bare word
  }
  return value;
}

}  // namespace dbps::config

// One TOML text as a flat list of keys, each with the place it was written at.
#pragma once

#include <string>
#include <vector>

#include "config/value.h"

namespace dbps::config {

struct Entry {
  std::string table;  // "data", "selection.dbps"; "" at the top of the file
  std::string name;
  Value value;
  std::string where;  // "demo.toml:12"
  int line = 0;
};

struct Document {
  std::vector<std::string> tables;  // as written, also empty ones
  std::vector<std::string> table_places;
  std::vector<Entry> entries;             // by line
  std::vector<std::vector<Entry>> tasks;  // each [[task]], by line
  std::vector<std::string> task_places;
};

// Throws ConfigError with `name` and line where the text is no TOML.
Document read_document(const std::string& text, const std::string& name);

// "0.3" -> a number, "[1, 2]" -> a list, "runs/a" -> a text.
Value read_override(const std::string& text);

}  // namespace dbps::config

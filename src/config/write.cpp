#include <fmt/format.h>

#include "config/schema.h"

namespace dbps::config {
namespace {

std::string comment(const Key& key) {
  if (key.planned) return fmt::format("# {}; foreseen but not built yet\n", key.doc);
  std::string text = fmt::format("# {}\n#   {}; ", key.doc, key.allowed);
  text += key.resume == Resume::kFree ? "a resumed run may change it" : "kept by a resumed run";
  return text + '\n';
}

std::string table_text(const Config& config, const std::string& table, size_t task, bool comments) {
  std::string text;
  for (const Key& key : schema()) {
    if (key.table != table || (key.planned && !comments)) continue;
    if (comments) text += comment(key);
    text += fmt::format("{} = {}\n", key.name, to_toml(key.get(config, task)));
  }
  return text;
}

}  // namespace

std::string to_toml(const Config& config, bool comments) {
  std::string text;
  for (const std::string& table : tables()) {
    if (table == "task") {
      for (size_t task = 0; task < config.tasks.size(); ++task) {
        text += "\n[[task]]\n" + table_text(config, table, task, comments);
      }
    } else {
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", table);
      text += table_text(config, table, 0, comments);
    }
  }
  return text;
}

std::vector<std::string> unsupported() {
  std::vector<std::string> all;
  for (const Key& key : schema()) {
    if (key.planned) all.push_back(key.full_name());
    for (const std::string& value : key.planned_values) {
      all.push_back(fmt::format("{} = \"{}\"", key.full_name(), value));
    }
  }
  return all;
}

}  // namespace dbps::config

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "config/schema.h"
#include "config/toml_source.h"

namespace dbps::config {
namespace {

namespace fs = std::filesystem;

std::string found_or_written(const std::string& written, const fs::path& folder) {
  const fs::path path(written);
  if (written.empty() || path.is_absolute()) return written;
  for (const fs::path& base : {folder, fs::path()}) {
    std::error_code ignored;
    const fs::path whole = fs::absolute(base / path, ignored).lexically_normal();
    if (!ignored && fs::exists(whole, ignored)) return whole.string();
  }
  return written;
}

void find_paths(Value& value, const fs::path& folder) {
  if (auto* text = std::get_if<std::string>(&value.data)) {
    *text = found_or_written(*text, folder);
  } else if (auto* list = std::get_if<Value::List>(&value.data)) {
    for (Value& entry : *list) find_paths(entry, folder);
  }
}

std::string shown(const Value& value) {
  return value.written.empty() ? to_toml(value) : value.written;
}

bool equal_or_equal_number(const Value& a, const Value& b) {
  const auto* whole = std::get_if<int64_t>(&a.data);
  const auto* real = std::get_if<double>(&b.data);
  return a == b || (whole && real && static_cast<double>(*whole) == *real);
}

bool is_planned_value(const Key& key, const Value& value) {
  const auto* text = std::get_if<std::string>(&value.data);
  if (text == nullptr) return false;
  return std::find(key.planned_values.begin(), key.planned_values.end(), *text) !=
         key.planned_values.end();
}

std::vector<std::string> key_names(const std::string& table) {
  std::vector<std::string> names;
  for (const Key& key : schema()) {
    if (key.table == table) names.push_back(key.name);
  }
  return names;
}

// "; did you mean ...", by the names of the table, else a table that has such a key.
std::string suggestion(const std::string& table, const std::string& shown_table,
                       const std::string& name) {
  const std::string near = nearest(name, key_names(table));
  if (!near.empty()) return fmt::format("; did you mean {}.{}?", shown_table, near);
  for (const Key& key : schema()) {
    if (key.name == name) return fmt::format("; did you mean {}?", key.full_name());
  }
  return "";
}

// Applies files and overrides to one Config, and remembers where each key was last written.
class Assembler {
 public:
  // `name` stands for what has no line of its own.
  explicit Assembler(std::string name, Config config = {})
      : name_(std::move(name)), config_(std::move(config)) {
    std::error_code ignored;
    chain_.push_back(fs::weakly_canonical(name_, ignored));
  }

  void apply_file(const std::string& text, const std::string& name) {
    const Document document = read_document(text, name);
    const fs::path folder = fs::path(name).parent_path();
    apply_base(document, folder);
    check_tables(document);
    for (const Entry& entry : document.entries) {
      if (entry.table.empty()) {
        if (entry.name != "base") refuse_top_level(entry);
      } else {
        apply(entry, entry.table, entry.table, 0, folder);
      }
    }
    if (!document.tasks.empty()) apply_tasks(document, folder);
  }

  void apply_override(const std::string& text) {
    const size_t equals = text.find('=');
    const std::string key = trim(std::string_view(text).substr(0, equals));
    const size_t dot = key.rfind('.');
    const std::string where = "--set " + text;
    if (equals == std::string::npos || dot == std::string::npos) {
      throw ConfigError(where + ": must be table.key=value");
    }
    const std::string table = key.substr(0, dot);
    Entry entry{table, key.substr(dot + 1), read_override(trim(text.substr(equals + 1))), where, 0};
    if (table == "task" || table.starts_with("task.")) {
      apply(entry, "task", table, task_index(table, where), fs::path());
    } else {
      check_table(table, where);
      apply(entry, table, table, 0, fs::path());
    }
  }

  Config finish() {
    for (const auto& [key, place] : places_) config_.places[key] = place;
    leave_out_pixels(config_);
    check_together(config_, [this](const std::string& key) {
      const auto found = places_.find(key);
      return found == places_.end() ? name_ : found->second;
    });
    return config_;
  }

 private:
  void apply_base(const Document& document, const fs::path& folder) {
    for (const Entry& entry : document.entries) {
      if (!entry.table.empty() || entry.name != "base") continue;
      const auto* base = std::get_if<std::string>(&entry.value.data);
      if (base == nullptr) throw ConfigError(entry.where + ": base must be a file's name");
      apply_base_file(folder / *base, entry.where);
    }
  }

  void apply_base_file(const fs::path& path, const std::string& where) {
    std::error_code error;
    const fs::path whole = fs::weakly_canonical(path, error);
    if (std::find(chain_.begin(), chain_.end(), whole) != chain_.end()) {
      throw ConfigError(
          fmt::format("{}: base = \"{}\" leads back to itself", where, path.string()));
    }
    if (!fs::is_regular_file(path, error)) {
      throw ConfigError(fmt::format("{}: base = \"{}\": no such file", where, path.string()));
    }
    chain_.push_back(whole);
    apply_file(read_text_file(path), path.string());
    chain_.pop_back();
  }

  static void refuse_top_level(const Entry& entry) {
    const std::vector<std::string>& names = tables();
    if (std::find(names.begin(), names.end(), entry.name) != names.end()) {
      throw ConfigError(
          fmt::format("{}: {} must be a table [{}]", entry.where, entry.name, entry.name));
    }
    std::string near;
    for (const Key& key : schema()) {
      if (key.name == entry.name) near = fmt::format("; did you mean {}?", key.full_name());
    }
    throw ConfigError(fmt::format("{}: unknown key {}{}", entry.where, entry.name, near));
  }

  static void check_table(const std::string& table, const std::string& where) {
    const std::vector<std::string>& names = tables();
    if (std::find(names.begin(), names.end(), table) != names.end()) return;
    const std::string near = nearest(table, names);
    throw ConfigError(fmt::format("{}: unknown table [{}]{}", where, table,
                                  near.empty() ? "" : fmt::format("; did you mean [{}]?", near)));
  }

  static void check_tables(const Document& document) {
    for (size_t i = 0; i < document.tables.size(); ++i) {
      check_table(document.tables[i], document.table_places[i]);
    }
  }

  void apply_tasks(const Document& document, const fs::path& folder) {
    config_.tasks.clear();
    std::erase_if(places_, [](const auto& place) { return place.first.starts_with("task."); });
    for (size_t i = 0; i < document.tasks.size(); ++i) {
      const std::vector<Entry>& entries = document.tasks[i];
      const auto named = std::find_if(entries.begin(), entries.end(),
                                      [](const Entry& entry) { return entry.name == "name"; });
      if (named == entries.end()) {
        throw ConfigError(document.task_places[i] + ": task.name is missing");
      }
      config_.tasks.emplace_back();
      apply(*named, "task", "task", i, folder);
      const std::string table = "task." + config_.tasks[i].name;
      for (const Entry& entry : entries) apply(entry, "task", table, i, folder);
    }
  }

  size_t task_index(const std::string& table, const std::string& where) const {
    std::vector<std::string> names;
    for (const model::TaskOptions& task : config_.tasks) names.push_back("task." + task.name);
    const auto found = std::find(names.begin(), names.end(), table);
    if (found == names.end()) {
      throw ConfigError(fmt::format("{}: a task's key is task.<name>.<key>; there is {}", where,
                                    names.empty() ? "no task" : join_words(names)));
    }
    return static_cast<size_t>(found - names.begin());
  }

  // `shown_table` is what a person calls the table: "task.digits" for one of the tasks.
  void apply(const Entry& entry, const std::string& table, const std::string& shown_table,
             size_t task, const fs::path& folder) {
    const std::string name = shown_table + "." + entry.name;
    const Key* key = find_key(table, entry.name);
    if (key == nullptr) {
      throw ConfigError(fmt::format("{}: unknown key {}{}", entry.where, name,
                                    suggestion(table, shown_table, entry.name)));
    }
    Value value = entry.value;
    if (key->planned && !equal_or_equal_number(value, key->get(config_, task))) {
      throw ConfigError(fmt::format("{}: {} = {} is foreseen but not built yet; leave it at {}",
                                    entry.where, name, shown(value), key->allowed));
    }
    if (is_planned_value(*key, value)) {
      throw ConfigError(fmt::format("{}: {} = {} is foreseen but not built yet; it can be {}",
                                    entry.where, name, to_toml(value), key->allowed));
    }
    if (key->is_path) find_paths(value, folder);
    const std::string refused = key->set(config_, task, value);
    if (!refused.empty()) {
      throw ConfigError(fmt::format("{}: {} = {}: {}", entry.where, name, shown(value), refused));
    }
    places_[name] = entry.where;
  }

  std::string name_;
  Config config_;
  std::map<std::string, std::string> places_;
  std::vector<fs::path> chain_;  // files being read, outermost first
};

}  // namespace

Config parse(const std::string& toml, const std::string& name,
             const std::vector<std::string>& overrides) {
  Assembler assembler(name);
  assembler.apply_file(toml, name);
  for (const std::string& override_text : overrides) assembler.apply_override(override_text);
  return assembler.finish();
}

Config with_overrides(const Config& config, const std::vector<std::string>& overrides) {
  std::string name;
  for (const std::string& text : overrides)
    name += fmt::format("{}--set {}", name.empty() ? "" : " ", text);
  Assembler assembler(name, config);
  for (const std::string& text : overrides) assembler.apply_override(text);
  return assembler.finish();
}

Config load(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    throw ConfigError(
        fmt::format("cannot read the configuration {}: {}", path.string(),
                    fs::is_directory(path, error) ? "it is a folder" : "no such file"));
  }
  return parse(read_text_file(path), path.string(), overrides);
}

}  // namespace dbps::config

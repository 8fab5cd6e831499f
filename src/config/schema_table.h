// How the lines of the schema are written: a Table adds the keys of one section of Config.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/text.h"
#include "config/schema.h"

namespace dbps::config {

// Where a table's options lie in Config: Section<&Config::data>, or a task of the list.
template <auto Member>
struct Section {
  static auto& of(auto& config, size_t) { return config.*Member; }
};
struct TaskSection {
  static auto& of(auto& config, size_t task) { return config.tasks[task]; }
};

struct IntegerRange {
  int64_t low = 0;
  int64_t high = std::numeric_limits<int64_t>::max();
  std::string text() const;
};
struct RealRange {
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  bool above_low = false;   // low itself is refused
  bool below_high = false;  // high itself is refused
  bool holds(double number) const;
  std::string text() const;
};

// What a Value is, when it is that; a whole number also passes for a real one.
std::optional<double> as_real(const Value& value);
std::optional<std::string> as_text(const Value& value);
std::string must_be(const std::string& allowed);
std::string one_of(const std::vector<std::string>& words);
// "must be one of ...", with the nearest.
std::string not_one_of(const std::string& allowed, const std::string& word,
                       const std::vector<std::string>& words);

template <typename Enum>
using Choices = std::vector<std::pair<std::string, Enum>>;

template <typename Place>
class Table {
 public:
  using Options = std::remove_cvref_t<decltype(Place::of(std::declval<Config&>(), 0))>;

  Table(std::string name, std::vector<Key>& keys) : name_(std::move(name)), keys_(keys) {}

  Key& integer(const char* name, int64_t Options::*field, IntegerRange range, Resume resume,
               const char* doc) {
    return add<int64_t>(name, field, range.text(), resume, doc,
                        [range](const Value& value) -> std::optional<int64_t> {
                          const auto* number = std::get_if<int64_t>(&value.data);
                          if (!number || *number < range.low || *number > range.high) return {};
                          return *number;
                        });
  }

  Key& real(const char* name, double Options::*field, RealRange range, Resume resume,
            const char* doc) {
    return add<double>(name, field, range.text(), resume, doc,
                       [range](const Value& value) -> std::optional<double> {
                         const std::optional<double> number = as_real(value);
                         if (!number || !range.holds(*number)) return {};
                         return number;
                       });
  }

  Key& flag(const char* name, bool Options::*field, Resume resume, const char* doc) {
    return add<bool>(name, field, "true or false", resume, doc,
                     [](const Value& value) -> std::optional<bool> {
                       const auto* flag = std::get_if<bool>(&value.data);
                       if (!flag) return {};
                       return *flag;
                     });
  }

  Key& text(const char* name, std::string Options::*field, Resume resume, const char* doc) {
    return add<std::string>(name, field, "a text", resume, doc, as_text);
  }

  Key& path(const char* name, std::string Options::*field, Resume resume, const char* doc) {
    Key& key = text(name, field, resume, doc);
    key.is_path = true;
    return key;
  }

  template <typename Enum>
  Key& choice(const char* name, Enum Options::*field, Choices<Enum> choices,
              std::vector<std::string> planned, Resume resume, const char* doc) {
    std::vector<std::string> words;
    for (const auto& [word, _] : choices) words.push_back(word);
    Key& key = custom(name, one_of(words), resume, doc);
    key.planned_values = std::move(planned);
    key.set = [field, choices, words, allowed = key.allowed](Config& config, size_t task,
                                                             const Value& value) -> std::string {
      const std::optional<std::string> text = as_text(value);
      if (!text) return must_be(allowed);
      for (const auto& [word, meaning] : choices) {
        if (word == *text) {
          Place::of(config, task).*field = meaning;
          return "";
        }
      }
      return not_one_of(allowed, *text, words);
    };
    key.get = [field, choices](const Config& config, size_t task) {
      for (const auto& [word, meaning] : choices) {
        if (Place::of(config, task).*field == meaning) return Value{word, "", false};
      }
      return Value{};
    };
    return key;
  }

  // A text that names one of the kinds that registries know (schema.h).
  Key& kind(std::string Options::*field, const char* name, Resume resume, const char* doc) {
    Choices<std::string> built;
    std::vector<std::string> planned;
    for (const Kind& kind : kinds()) {
      if (kind.table != name_) continue;
      if (kind.built) {
        built.emplace_back(kind.name, kind.name);
      } else {
        planned.emplace_back(kind.name);
      }
    }
    return choice(name, field, built, planned, resume, doc);
  }

  // Foreseen, and only its default accepted.
  Key& planned(const char* name, Value default_value, const char* doc) {
    Key& key = custom(name, to_toml(default_value), Resume::kFixed, doc);
    key.planned = true;
    key.get = [default_value](const Config&, size_t) { return default_value; };
    key.set = [](Config&, size_t, const Value&) { return std::string(); };
    return key;
  }

  // A key whose `set` and `get` the caller supplies.
  Key& custom(const char* name, std::string allowed, Resume resume, const char* doc) {
    Key key;
    key.table = name_;
    key.name = name;
    key.allowed = std::move(allowed);
    key.resume = resume;
    key.doc = doc;
    keys_.push_back(std::move(key));
    return keys_.back();
  }

 private:
  template <typename T, typename Read>
  Key& add(const char* name, T Options::*field, std::string allowed, Resume resume, const char* doc,
           Read read) {
    Key& key = custom(name, std::move(allowed), resume, doc);
    key.set = [field, read, allowed = key.allowed](Config& config, size_t task,
                                                   const Value& value) -> std::string {
      const std::optional<T> wanted = read(value);
      if (!wanted) return must_be(allowed);
      Place::of(config, task).*field = *wanted;
      return "";
    };
    key.get = [field](const Config& config, size_t task) {
      return Value{Place::of(config, task).*field, "", false};
    };
    return key;
  }

  std::string name_;
  std::vector<Key>& keys_;
};

}  // namespace dbps::config

#include "config/schema.h"

#include <algorithm>

#include "config/schema_table.h"

namespace dbps::config {
namespace {

constexpr Kind kModelKinds[] = {
    {"encoder", "resnet18", true, nullptr},
    {"encoder", "resnet50", true, nullptr},
    {"encoder", "tiny", true, nullptr},
    {"encoder", "features", true, add_feature_encoder_keys},
    {"aggregator", "dual_attention", true, nullptr},
    {"aggregator", "cross_attention", true, nullptr},
    {"aggregator", "gated_attention", true, add_gated_attention_keys},
    {"aggregator", "mean", true, nullptr},
    {"aggregator", "top_mil", true, nullptr},
};

}  // namespace

std::string IntegerRange::text() const {
  if (high == std::numeric_limits<int64_t>::max())
    return fmt::format("a whole number from {} on", low);
  return fmt::format("a whole number from {} to {}", low, high);
}

bool RealRange::holds(double number) const {
  return std::isfinite(number) && (above_low ? number > low : number >= low) &&
         (below_high ? number < high : number <= high);
}

std::string RealRange::text() const {
  if (std::isinf(low)) return "a number";
  const std::string from = above_low ? fmt::format("above {}", low) : fmt::format("from {}", low);
  if (std::isinf(high)) return fmt::format("a number {}{}", from, above_low ? "" : " on");
  return fmt::format("a number {} {} {}", from, below_high ? "to below" : "to", high);
}

std::optional<double> as_real(const Value& value) {
  if (const auto* number = std::get_if<double>(&value.data)) return *number;
  if (const auto* integer = std::get_if<int64_t>(&value.data)) {
    return static_cast<double>(*integer);
  }
  return std::nullopt;
}

std::optional<std::string> as_text(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value.data)) return *text;
  if (value.bare && !std::holds_alternative<Value::List>(value.data)) return value.written;
  return std::nullopt;
}

std::string must_be(const std::string& allowed) { return "must be " + allowed; }

std::string one_of(const std::vector<std::string>& words) {
  std::string text = words.size() > 1 ? "one of " : "";
  for (size_t i = 0; i < words.size(); ++i) {
    text += fmt::format("{}\"{}\"", i > 0 ? ", " : "", words[i]);
  }
  return text;
}

std::string not_one_of(const std::string& allowed, const std::string& word,
                       const std::vector<std::string>& words) {
  const std::string near = nearest(word, words);
  return must_be(allowed) + (near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
}

const std::vector<Key>& schema() {
  static const std::vector<Key> keys = [] {
    std::vector<Key> all;
    add_run_keys(all);
    add_data_keys(all);
    add_model_keys(all);
    add_training_keys(all);
    add_distributed_keys(all);
    for (const Kind& kind : kinds()) {
      if (kind.own_keys != nullptr) kind.own_keys(all);
    }
    return all;
  }();
  return keys;
}

const std::vector<std::string>& tables() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Key& key : schema()) {
      if (std::find(all.begin(), all.end(), key.table) == all.end()) all.push_back(key.table);
    }
    return all;
  }();
  return names;
}

const Key* find_key(const std::string& table, const std::string& name) {
  for (const Key& key : schema()) {
    if (key.table == table && key.name == name) return &key;
  }
  return nullptr;
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = [] {
    std::vector<Kind> kinds;
    for (const selection::Method& method : selection::kMethods) {
      kinds.push_back({"selection", method.name, true, nullptr});
    }
    kinds.insert(kinds.end(), std::begin(kModelKinds), std::end(kModelKinds));
    return kinds;
  }();
  return all;
}

}  // namespace dbps::config

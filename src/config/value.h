// A value as a configuration file holds it, without the TOML library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace dbps::config {

struct Value {
  using List = std::vector<Value>;
  // monostate: `written` alone is the value: an exact decimal, or something no key takes (a date).
  std::variant<std::monostate, bool, int64_t, double, std::string, List> data;
  std::string written;  // a number's own text, for decimals; an override's whole text
  bool bare = false;    // from an override, where a text may stand without quotes

  bool operator==(const Value& other) const {
    return data == other.data && (data.index() != 0 || written == other.written);
  }
};

// As TOML: shortest doubles that read back to the same, strings quoted and escaped.
std::string to_toml(const Value& value);

// "0.30", "3e-1" and "+0.3" -> "0.3": plain, without trailing zeros. Nothing when `text` is not a
// decimal number from 0 up to but without 1.
std::optional<std::string> plain_fraction(const std::string& text);

}  // namespace dbps::config

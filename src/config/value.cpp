#include "config/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace dbps::config {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string real(double number) {
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

bool all_digits(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The exponent of "3e-1" split off; nothing when it is malformed or absurd.
std::optional<int> take_exponent(std::string& text) {
  const size_t mark = text.find_first_of("eE");
  if (mark == std::string::npos) return 0;
  std::string digits = text.substr(mark + 1);
  text.resize(mark);
  if (!digits.empty() && digits[0] == '+') digits.erase(0, 1);
  int exponent = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (exponent < -300 || exponent > 300) return std::nullopt;
  return exponent;
}

}  // namespace

std::string to_toml(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value.data)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&value.data)) return fmt::format("{}", *integer);
  if (const auto* number = std::get_if<double>(&value.data)) return real(*number);
  if (const auto* text = std::get_if<std::string>(&value.data)) return quoted(*text);
  if (const auto* list = std::get_if<Value::List>(&value.data)) {
    std::string out = "[";
    for (size_t i = 0; i < list->size(); ++i) out += (i > 0 ? ", " : "") + to_toml((*list)[i]);
    return out + "]";
  }
  return value.written;
}

std::optional<std::string> plain_fraction(const std::string& text) {
  std::string number = text;
  number.erase(std::remove(number.begin(), number.end(), '_'), number.end());
  if (!number.empty() && number[0] == '+') number.erase(0, 1);
  const std::optional<int> exponent = take_exponent(number);
  if (!exponent) return std::nullopt;

  const std::vector<std::string> parts = split(number, '.');
  if (parts.size() > 2 || parts[0].empty()) return std::nullopt;
  std::string whole = parts[0];
  std::string fraction = parts.size() == 2 ? parts[1] : "";
  if (!all_digits(whole) || !all_digits(fraction)) return std::nullopt;

  for (int i = 0; i < *exponent; ++i) {
    whole += fraction.empty() ? '0' : fraction[0];
    if (!fraction.empty()) fraction.erase(0, 1);
  }
  for (int i = 0; i > *exponent; --i) {
    fraction.insert(fraction.begin(), whole.empty() ? '0' : whole.back());
    if (!whole.empty()) whole.pop_back();
  }
  if (whole.find_first_not_of('0') != std::string::npos) return std::nullopt;
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return fraction.empty() ? "0" : "0." + fraction;
}

}  // namespace dbps::config

#include "report/page.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

namespace dbps::report {
namespace {

constexpr char kDash[] = "\u2013";

std::string group_thousands(const std::string& digits) {
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    const size_t left = digits.size() - i;
    if (i > 0 && left % 3 == 0 && digits[i - 1] != '-') out += ',';
    out += digits[i];
  }
  return out;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string number_text(double value) {
  if (!std::isfinite(value)) return kDash;
  if (std::abs(value) < 1e15 && (value == std::floor(value) || std::abs(value) >= 1000)) {
    return group_thousands(fmt::format("{:.0f}", value));
  }
  return fmt::format("{:.4g}", value);
}

std::string metric_text(double value) {
  if (!std::isfinite(value)) return kDash;
  return fmt::format("{:.3f}", std::abs(value) < 0.0005 ? 0.0 : value);  // no "-0.000"
}

std::string metric_title(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kTitles{{
      {"accuracy", "Accuracy"},
      {"auc", "ROC AUC"},
      {"macro_f1", "Macro F1"},
      {"balanced_accuracy", "Balanced accuracy"},
      {"kappa", "Cohen\u2019s kappa"},
      {"quadratic_kappa", "Quadratic kappa"},
      {"exact_match", "Exact match"},
      {"loss", "Loss"},
  }};
  for (const auto& [key, title] : kTitles) {
    if (key == name) return std::string(title);
  }
  return std::string(name);
}

std::string base64(std::span<const uint8_t> bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (j < count ? bytes[i + j] : 0u);
    for (size_t j = 0; j < 4; ++j) out += j <= count ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::string section(std::string_view title, std::string_view body) {
  if (body.empty()) return "";
  return fmt::format("<section><h2>{}</h2>\n{}</section>\n", escape(title), body);
}

std::string page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>{}</style>\n</head>\n"
      "<body>\n<main>\n{}</main>\n</body>\n</html>\n",
      escape(title), kPageStyle, body);
}

}  // namespace dbps::report

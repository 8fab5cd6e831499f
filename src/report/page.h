// What every part of the report page is written with: text made safe, numbers made short.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dbps::report {

// The page's style sheet: light and dark, one column to three.
extern const std::string_view kPageStyle;

std::string escape(std::string_view text);  // for HTML text and quoted attributes
std::string number_text(double value);      // four significant digits; "12,345"; a dash for NaN
std::string metric_text(double value);      // "0.934"; a dash for NaN
std::string metric_title(std::string_view name);  // "macro_f1": "Macro F1"
std::string base64(std::span<const uint8_t> bytes);

// <section> with a heading, or "" where there is no body.
std::string section(std::string_view title, std::string_view body);

// A whole document that loads nothing: its policy forbids scripts and every address but data:.
std::string page(std::string_view title, std::string_view body);

}  // namespace dbps::report

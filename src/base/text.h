// Small things with words that several rooms say to people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dbps {

// The candidate nearest to `word` by edit distance, or "" when none is near enough to suggest.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// "a, b and c"; at most `most` of them, then "and 12 more".
std::string join_words(const std::vector<std::string>& words, size_t most = 10);

// "1 picture", "2 pictures"; `plural` where it is not the word with an s.
std::string counted(int64_t count, std::string_view word, std::string_view plural = {});

std::string format_bytes(double bytes);      // "1.2 GB" (powers of 1000)
std::string format_seconds(double seconds);  // "1 h 02 min", "3 min 20 s", "4.2 s"

std::vector<std::string> split(std::string_view text, char separator);
std::string trim(std::string_view text);
std::string to_lower(std::string_view text);  // ASCII letters

// How a CSV may name a file: "a/b.tif" gives "a/b". What follows the last dot must look like an
// extension, up to five letters and digits with a letter among them: nothing is taken off
// "patient_1.5", nor off a name that ends with a UUID.
std::string without_extension(const std::string& name);

}  // namespace dbps

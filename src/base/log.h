// Messages for people, on standard error: `log::info("{} pictures", n)`. Results go to standard
// output instead, never through here. Any thread may log.
#pragma once

#include <fmt/format.h>

#include <string>

namespace dbps::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// Call once from main. Ranks above 0 pass kWarning; `-q` kWarning, `-v` kDebug. `prefix` stands
// before each line ("rank 3: "), or is empty.
void set_up(Level level, const std::string& prefix);

// Also appends every message to a file (a run's log.txt) until called with an empty path.
// Throws RuntimeFault when the file cannot be opened.
void also_to_file(const std::string& path);

void write(Level level, const std::string& message);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace dbps::log

// The shortest configuration that is whole.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "config/config.h"

namespace dbps::config {

inline const std::string kMinimal = R"([experiment]
name = "a"
[data]
store = "store-that-is-nowhere"
height = 256
width = 256
patch_size = 32
[selection]
salient = 6
[[task]]
name = "digit"
[training]
epochs = 30
)";

inline Config minimal(const std::vector<std::string>& overrides = {}) {
  return parse(kMinimal, "minimal.toml", overrides);
}

// The message of the ConfigError that `work` throws; a failure of the test when it throws none.
template <typename Work>
std::string refusal(Work work) {
  try {
    work();
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

inline std::string refused(const std::vector<std::string>& overrides) {
  return refusal([&] { minimal(overrides); });
}

inline std::string refused_text(const std::string& text) {
  return refusal([&] { parse(text, "some/run.toml", {}); });
}

}  // namespace dbps::config

// Where the tests' own files lie.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace dbps {

// The folder tests/ of the sources, or what the environment's DBPS_TEST_DATA names: a bundle
// carries its own.
inline std::filesystem::path test_data() {
  const char* given = std::getenv("DBPS_TEST_DATA");
  return given != nullptr ? given : DBPS_TEST_DATA;
}

}  // namespace dbps

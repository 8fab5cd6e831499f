// Reads predictions-<split>.csv, which `eval` writes: id, patient, truth and a probability a class;
// for several tasks those columns are prefixed "<task>:".
#pragma once

#include <filesystem>
#include <vector>

#include "report/run_reader.h"

namespace dbps::report {

// Tasks with one label a picture (multiclass, binary); others are left out. A truth is a class name
// or, where it is none, a class index. Throws DataError naming file and line.
std::vector<Predictions> read_predictions(const std::filesystem::path& path);

}  // namespace dbps::report

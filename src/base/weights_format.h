// Which format a file of weights has, by its content: a name's extension says nothing.
#pragma once

#include <filesystem>

namespace dbps {

enum class WeightsFormat { kSafetensors, kPth };

// Throws DataError for a file that cannot be opened or is neither, in one line; for PyTorch's files
// of before version 1.6 it says how to convert them.
WeightsFormat weights_format(const std::filesystem::path& path);

}  // namespace dbps

// Tensors in files: safetensors, which are also written, and PyTorch's .pth.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/parameters.h"

namespace dbps::model {

struct WeightsFile {
  std::vector<NamedTensor> tensors;  // on the CPU, as stored
  std::map<std::string, std::string> metadata;
  std::string remark = "";  // what errors add to the file's name
};

// Either format, told by the file's content; a .pth has no metadata, and its tensors that share
// memory there share it here. Throws DataError naming the file and tensor.
WeightsFile read_weights(const std::filesystem::path& path);
// Whole or absent. Tensors are copied to the CPU.
void write_weights(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                   const std::map<std::string, std::string>& metadata);

// Copies `from` into `into` by name. Throws DataError listing names missing, unexpected and of
// another shape (long lists cut short, with their counts), with `path` at its start; nothing is
// copied then.
void load_into(const std::vector<NamedTensor>& into, const WeightsFile& from,
               const std::filesystem::path& path);

}  // namespace dbps::model

// PyTorch's own files of weights (.pth, .pt), without LibTorch: a zip archive of raw storages and a
// pickle that says which tensors lie in them. Beside base/safetensors.h, whose words for types it
// uses; reading one runs no code (base/pickle.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace dbps {

// The memory that one or more tensors are views of: raw little-endian elements.
struct PthStorage {
  std::string dtype;   // "F32", ... as in safetensors
  uint64_t begin = 0;  // bytes from the start of the file
  uint64_t end = 0;
  uint32_t crc = 0;  // CRC-32 of its bytes (base/zip_archive.h)
};

struct PthTensor {
  size_t storage = 0;  // which of the header's
  int64_t offset = 0;  // elements
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // elements; 0 or more
};

struct PthHeader {
  std::vector<PthStorage> storages;
  std::map<std::string, PthTensor> tensors;
};

// Reads archive and pickle and finds the state dict in it: the whole, or what stands under
// "state_dict", "model_state_dict", "model", "module", "net", "network" or "weights", however
// nested (three deep at most), or under the only key that holds tensors. What is no tensor in it is
// passed over. Every storage lies in the file and has the size of its elements; every tensor lies
// in its storage and has no more elements. Throws DataError naming `path`, also for what needs
// conversion: TorchScript archives and big-endian files.
PthHeader read_pth_header(const std::filesystem::path& path);

// The same of a file that holds a tensor alone, torch.save(tensor), as CLAM's features are: it has
// the name "".
PthHeader read_pth_tensor(const std::filesystem::path& path);

}  // namespace dbps

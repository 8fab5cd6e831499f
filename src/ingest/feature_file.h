// Feature vectors of one bag in a file: .npy, .safetensors, HDF5 as CLAM, TRIDENT and IPS write it,
// or a tensor in PyTorch's .pt.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "store/slide_coordinates.h"
#include "store/vectors.h"

namespace dbps::ingest {

enum class FloatType { kFloat16, kFloat32, kFloat64 };
const char* float_name(FloatType type);  // "float16", ...

struct FeatureFile {
  std::string name;   // for messages: the path, and the tensor where there are several
  int64_t count = 0;  // N
  int64_t width = 0;  // D
  FloatType type = FloatType::kFloat32;
  std::vector<store::Place> places;  // of HDF5's coords or pos, else empty
  store::PatchFrame frame;           // of HDF5's coords
  // Vectors first .. first + count - 1 in the file's own type, straight from the file. One thread
  // at a time.
  std::function<void(int64_t first, int64_t count, uint8_t* out)> read;
};

bool is_hdf5(const std::filesystem::path& path);  // by its extension

// Only the header is read. A .safetensors file: the tensor `member`, else `features`, else its only
// one; HDF5: the group `member`, else the file itself. Shapes are (N, D) and (1, N, D). Throws
// DataError naming the file and what it holds instead, also when there is no vector in it.
FeatureFile open_features(const std::filesystem::path& path, const std::string& member = "");

struct BagMember {
  std::string name;   // of the tensor or group
  std::string label;  // of a group's attribute `label`, else ""
};

// The bags of a file that holds several. .safetensors: all its tensors, when none is called
// `features` and each has the shape of a bag; HDF5: IPS's layout. Empty for any other file, also a
// damaged one.
std::vector<BagMember> members_of(const std::filesystem::path& path);

// The same vectors as a store of `pixel_type` ("float16" or "float32") takes them. Reading throws
// DataError for a NaN or an infinity, which it names with its row. `file` must outlive them.
// Throws DataError when the store's type would round the file's numbers.
store::Vectors as_stored(const FeatureFile& file, const std::string& pixel_type);

}  // namespace dbps::ingest

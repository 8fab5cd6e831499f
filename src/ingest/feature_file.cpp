#include "ingest/feature_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/half.h"
#include "base/pth.h"
#include "base/safetensors.h"
#include "base/text.h"
#include "ingest/npy.h"
#include "store/hdf5_features.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostWidth = 65536;

int64_t item_size(FloatType type) {
  return type == FloatType::kFloat16 ? 2 : type == FloatType::kFloat32 ? 4 : 8;
}

[[noreturn]] void refuse(const FeatureFile& file, const std::string& why) {
  throw DataError(fmt::format("{}: {}", file.name, why));
}

// N and D of (N, D) or (1, N, D).
void set_shape(FeatureFile& file, const std::vector<int64_t>& shape) {
  const bool leading = shape.size() == 3 && shape[0] == 1;
  if (shape.size() != 2 && !leading) {
    refuse(file, fmt::format("features of shape ({}) are not (N, D)", fmt::join(shape, ", ")));
  }
  file.count = shape[shape.size() - 2];
  file.width = shape.back();
}

void check_size(const FeatureFile& file) {
  if (file.count == 0) refuse(file, "it holds no vector (0 rows)");
  if (file.count > store::kMostVectors || file.width < 1 || file.width > kMostWidth) {
    refuse(file, fmt::format("{} x {} features: at most {} vectors of 1 to {} numbers are taken",
                             file.count, file.width, store::kMostVectors, kMostWidth));
  }
}

// Rows that lie end to end from `begin` on.
void read_plainly(FeatureFile& file, const fs::path& path, uint64_t begin) {
  const auto descriptor = std::make_shared<FileDescriptor>(open_for_reading(path));
  const auto row = static_cast<uint64_t>(file.width * item_size(file.type));
  file.read = [descriptor, path, begin, row](int64_t first, int64_t count, uint8_t* out) {
    pread_exactly(descriptor->get(), out, static_cast<uint64_t>(count) * row,
                  begin + static_cast<uint64_t>(first) * row, path);
  };
}

FeatureFile open_npy(const fs::path& path) {
  FeatureFile file;
  file.name = path.string();
  const NpyHeader header = read_npy_header(path);
  if (header.descr == "<f2") {
    file.type = FloatType::kFloat16;
  } else if (header.descr == "<f4") {
    file.type = FloatType::kFloat32;
  } else if (header.descr == "<f8") {
    file.type = FloatType::kFloat64;
  } else {
    refuse(file, fmt::format("numbers of type '{}' are not read; save '<f2', '<f4' or '<f8'",
                             header.descr));
  }
  if (header.fortran_order) {
    refuse(file, "it is stored column by column: save numpy.ascontiguousarray of it");
  }
  set_shape(file, header.shape);
  check_size(file);
  const auto bytes = static_cast<uint64_t>(file.count * file.width * item_size(file.type));
  if (fs::file_size(path) < header.data_offset + bytes) {
    refuse(file, "it is shorter than its header says (truncated)");
  }
  read_plainly(file, path, header.data_offset);
  return file;
}

bool is_bag_shape(const SafetensorsEntry& entry) {
  return entry.shape.size() == 2 || (entry.shape.size() == 3 && entry.shape[0] == 1);
}

const SafetensorsEntry& find_tensor(const SafetensorsHeader& header, const FeatureFile& file,
                                    const std::string& tensor) {
  const auto& entries = header.entries;
  const auto wanted = entries.find(tensor.empty() ? "features" : tensor);
  if (wanted != entries.end()) return wanted->second;
  if (tensor.empty() && entries.size() == 1) return entries.begin()->second;
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries) names.push_back(name);
  refuse(file, fmt::format("it has no tensor '{}', but {}", tensor.empty() ? "features" : tensor,
                           names.empty() ? "nothing" : join_words(names)));
}

// What messages call a member of a file.
std::string name_of(const fs::path& path, const std::string& member) {
  return member.empty() ? path.string() : fmt::format("{} ('{}')", path.string(), member);
}

// In the words of safetensors.
void set_type(FeatureFile& file, const std::string& dtype) {
  if (dtype == "F16") {
    file.type = FloatType::kFloat16;
  } else if (dtype == "F32") {
    file.type = FloatType::kFloat32;
  } else if (dtype == "F64") {
    file.type = FloatType::kFloat64;
  } else {
    refuse(file, fmt::format("numbers of type {} are not read; save F16, F32 or F64", dtype));
  }
}

FeatureFile open_safetensors(const fs::path& path, const std::string& tensor) {
  FeatureFile file;
  file.name = name_of(path, tensor);
  const SafetensorsHeader header = read_safetensors_header(path);
  const SafetensorsEntry& entry = find_tensor(header, file, tensor);
  set_type(file, entry.dtype);
  set_shape(file, entry.shape);
  check_size(file);
  read_plainly(file, path, entry.begin);
  return file;
}

FeatureFile open_pt(const fs::path& path) {
  FeatureFile file;
  file.name = path.string();
  const PthHeader header = read_pth_tensor(path);
  const PthTensor& tensor = header.tensors.begin()->second;
  const PthStorage& storage = header.storages[tensor.storage];
  set_type(file, storage.dtype);
  set_shape(file, tensor.shape);
  check_size(file);
  const size_t last = tensor.strides.size() - 1;
  if (tensor.strides[last] != 1 || (file.count > 1 && tensor.strides[last - 1] != file.width)) {
    refuse(file, "its vectors do not lie end to end: save tensor.contiguous()");
  }
  read_plainly(file, path,
               storage.begin + static_cast<uint64_t>(tensor.offset * item_size(file.type)));
  return file;
}

FeatureFile open_hdf5(const fs::path& path, const std::string& group) {
  const auto opened = std::make_shared<store::Hdf5Features>(path, group);
  FeatureFile file;
  file.name = name_of(path, group);
  file.count = opened->count();
  file.width = opened->width();
  file.type = opened->item_size() == 2   ? FloatType::kFloat16
              : opened->item_size() == 4 ? FloatType::kFloat32
                                         : FloatType::kFloat64;
  check_size(file);
  file.places = opened->places();
  file.frame = opened->frame();
  file.read = [opened](int64_t first, int64_t count, uint8_t* out) {
    opened->read(first, count, out);
  };
  return file;
}

[[noreturn]] void refuse_number(const FeatureFile& file, int64_t row, int64_t column) {
  refuse(file,
         fmt::format("row {}, column {} is not a finite float32 (NaN or infinity)", row, column));
}

// All exponent bits set: an infinity or a NaN.
template <typename Bits>
void check_finite(const FeatureFile& file, int64_t first, const uint8_t* bytes, int64_t numbers,
                  Bits exponent) {
  for (int64_t i = 0; i < numbers; ++i) {
    Bits bits;
    std::memcpy(&bits, bytes + i * static_cast<int64_t>(sizeof(Bits)), sizeof(Bits));
    if ((bits & exponent) == exponent) {
      refuse_number(file, first + i / file.width, i % file.width);
    }
  }
}

// float16 and float64 of `own` as float32.
void to_float32(const FeatureFile& file, const uint8_t* own, int64_t numbers, uint8_t* out) {
  for (int64_t i = 0; i < numbers; ++i) {
    float number = 0;
    if (file.type == FloatType::kFloat16) {
      uint16_t half;
      std::memcpy(&half, own + 2 * i, sizeof(half));
      number = half_to_float(half);
    } else {
      double wide;
      std::memcpy(&wide, own + 8 * i, sizeof(wide));
      number = static_cast<float>(wide);
    }
    std::memcpy(out + 4 * i, &number, sizeof(number));
  }
}

}  // namespace

const char* float_name(FloatType type) {
  switch (type) {
    case FloatType::kFloat16:
      return "float16";
    case FloatType::kFloat32:
      return "float32";
    case FloatType::kFloat64:
      return "float64";
  }
  return "?";
}

bool is_hdf5(const fs::path& path) {
  const std::string extension = to_lower(path.extension().string());
  return extension == ".h5" || extension == ".hdf5";
}

FeatureFile open_features(const fs::path& path, const std::string& member) {
  const std::string extension = to_lower(path.extension().string());
  if (extension == ".npy") return open_npy(path);
  if (extension == ".safetensors") return open_safetensors(path, member);
  if (is_hdf5(path)) return open_hdf5(path, member);
  if (extension == ".pt") return open_pt(path);
  throw DataError(fmt::format(
      "{}: features are read from .npy, .safetensors, .h5, .hdf5 and .pt files", path.string()));
}

std::vector<BagMember> members_of(const fs::path& path) {
  const std::string extension = to_lower(path.extension().string());
  std::vector<BagMember> members;
  if (is_hdf5(path)) {
    for (const store::Hdf5Bag& bag : store::hdf5_bags(path))
      members.push_back({bag.name, bag.label});
  }
  if (extension != ".safetensors") return members;
  try {
    const SafetensorsHeader header = read_safetensors_header(path);
    if (header.entries.size() < 2 || header.entries.contains("features")) return {};
    for (const auto& [name, entry] : header.entries) {
      if (!is_bag_shape(entry)) return {};
      members.push_back({name, ""});
    }
  } catch (const DataError&) {
    return {};
  }
  return members;
}

store::Vectors as_stored(const FeatureFile& file, const std::string& pixel_type) {
  if (pixel_type == "float16" && file.type != FloatType::kFloat16) {
    refuse(file, fmt::format("its {} numbers would be rounded in a store of float16: use another "
                             "store",
                             float_name(file.type)));
  }
  store::Vectors vectors;
  vectors.count = file.count;
  vectors.places = file.places;
  vectors.read = [&file, pixel_type](int64_t first, int64_t count, uint8_t* out) {
    const int64_t numbers = count * file.width;
    if (float_name(file.type) == pixel_type) {
      file.read(first, count, out);
    } else {
      std::vector<uint8_t> own(static_cast<size_t>(numbers * item_size(file.type)));
      file.read(first, count, own.data());
      to_float32(file, own.data(), numbers, out);
    }
    if (pixel_type == "float16") {
      check_finite<uint16_t>(file, first, out, numbers, 0x7C00);
    } else {
      check_finite<uint32_t>(file, first, out, numbers, 0x7F800000);
    }
  };
  return vectors;
}

}  // namespace dbps::ingest

#include "model/weights.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/pth.h"
#include "base/safetensors.h"
#include "base/text.h"
#include "base/weights_format.h"
#include "base/zip_archive.h"

namespace dbps::model {
namespace {

const std::vector<std::pair<std::string, at::ScalarType>>& dtypes() {
  static const std::vector<std::pair<std::string, at::ScalarType>> table = {
      {"F32", at::kFloat}, {"F64", at::kDouble}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
      {"I64", at::kLong},  {"I32", at::kInt},    {"I16", at::kShort}, {"I8", at::kChar},
      {"U8", at::kByte},   {"BOOL", at::kBool}};
  return table;
}

std::string dtype_name(at::ScalarType type) {
  for (const auto& [name, known] : dtypes()) {
    if (known == type) return name;
  }
  DBPS_CHECK(false, "a tensor of this type cannot be written");
}

at::ScalarType dtype_of(const std::string& name, const std::string& tensor,
                        const std::filesystem::path& path) {
  for (const auto& [known, type] : dtypes()) {
    if (known == name) return type;
  }
  throw DataError(
      fmt::format("{}: tensor '{}' is of type {}, which is not read", path.string(), tensor, name));
}

// "3 (a, b and c)"; a short list needs no count.
std::string counted(const std::vector<std::string>& names) {
  constexpr size_t kShown = 6;
  if (names.size() <= kShown) return join_words(names);
  return fmt::format("{} ({})", names.size(), join_words(names, kShown));
}

std::string shape_text(const at::Tensor& tensor) {
  return fmt::format("({})", fmt::join(tensor.sizes(), ", "));
}

// Any byte but 0 and 1 is no bool to C++.
void make_bools(const at::Tensor& tensor) {
  if (tensor.scalar_type() != at::kBool) return;
  auto* bytes = static_cast<uint8_t*>(tensor.data_ptr());
  for (size_t i = 0; i < tensor.nbytes(); ++i) bytes[i] = bytes[i] != 0;
}

WeightsFile read_safetensors(const std::filesystem::path& path) {
  const SafetensorsHeader header = read_safetensors_header(path);
  check_safetensors(path);
  const FileDescriptor file = open_for_reading(path);
  WeightsFile weights;
  weights.metadata = header.metadata;
  for (const auto& [name, entry] : header.entries) {
    const at::Tensor tensor = at::empty(entry.shape, dtype_of(entry.dtype, name, path));
    pread_exactly(file.get(), tensor.data_ptr(), tensor.nbytes(), entry.begin, path);
    make_bools(tensor);
    weights.tensors.push_back({name, tensor});
  }
  return weights;
}

// Each storage is read once; tensors that share one are views of the same memory.
WeightsFile read_pth(const std::filesystem::path& path) {
  const PthHeader header = read_pth_header(path);
  const FileDescriptor file = open_for_reading(path);
  std::vector<at::Tensor> storages;
  for (const PthStorage& storage : header.storages) {
    const at::ScalarType type = dtype_of(storage.dtype, "", path);
    const auto bytes = static_cast<int64_t>(storage.end - storage.begin);
    const at::Tensor elements =
        at::empty({bytes / static_cast<int64_t>(c10::elementSize(type))}, type);
    pread_exactly(file.get(), elements.data_ptr(), elements.nbytes(), storage.begin, path);
    if (crc32_of(elements.data_ptr(), elements.nbytes()) != storage.crc) {
      throw DataError(fmt::format(
          "{} is damaged: the bytes from {} on do not fit their checksum (torch.save writes it "
          "unless told not to)",
          path.string(), storage.begin));
    }
    make_bools(elements);
    storages.push_back(elements);
  }
  WeightsFile weights;
  for (const auto& [name, tensor] : header.tensors) {
    weights.tensors.push_back(
        {name, storages[tensor.storage].as_strided(tensor.shape, tensor.strides, tensor.offset)});
  }
  return weights;
}

}  // namespace

WeightsFile read_weights(const std::filesystem::path& path) {
  return weights_format(path) == WeightsFormat::kPth ? read_pth(path) : read_safetensors(path);
}

void write_weights(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<at::Tensor> kept;  // what the views point into
  std::vector<SafetensorsView> views;
  for (const NamedTensor& named : tensors) {
    const at::Tensor tensor = named.tensor.detach().to(at::kCPU).contiguous();
    kept.push_back(tensor);
    views.push_back({named.name,
                     dtype_name(tensor.scalar_type()),
                     tensor.sizes().vec(),
                     {static_cast<const uint8_t*>(tensor.data_ptr()), tensor.nbytes()}});
  }
  write_safetensors(path, views, metadata);
}

void load_into(const std::vector<NamedTensor>& into, const WeightsFile& from,
               const std::filesystem::path& path) {
  std::map<std::string, at::Tensor> given;
  for (const NamedTensor& named : from.tensors) {
    if (given.emplace(named.name, named.tensor).second) continue;
    throw DataError(fmt::format("{} holds '{}' twice{}", path.string(), named.name, from.remark));
  }
  std::vector<std::string> missing;
  std::vector<std::string> misshapen;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const NamedTensor& named : into) {
    const auto found = given.find(named.name);
    if (found == given.end()) {
      missing.push_back(named.name);
      continue;
    }
    if (found->second.sizes() != named.tensor.sizes()) {
      misshapen.push_back(fmt::format("{} is {}, not {}", named.name, shape_text(found->second),
                                      shape_text(named.tensor)));
    }
    copies.emplace_back(named.tensor, found->second);
    given.erase(found);
  }
  std::vector<std::string> unexpected;
  for (const auto& [name, tensor] : given) unexpected.push_back(name);

  std::vector<std::string> faults;
  if (!missing.empty()) faults.push_back("missing " + counted(missing));
  if (!unexpected.empty()) faults.push_back("unexpected " + counted(unexpected));
  if (!misshapen.empty()) faults.push_back("of another shape: " + counted(misshapen));
  if (!faults.empty()) {
    throw DataError(fmt::format("{} does not hold these weights: {}{}", path.string(),
                                fmt::join(faults, "; "), from.remark));
  }
  const c10::NoGradGuard no_grad;
  for (auto& [target, source] : copies) target.copy_(source);
}

}  // namespace dbps::model

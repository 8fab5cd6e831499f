#include "base/pth.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/pickle.h"
#include "base/safetensors.h"
#include "base/text.h"
#include "base/zip_archive.h"

namespace dbps {
namespace {

namespace fs = std::filesystem;
using Members = std::map<std::string, ZipMember>;

constexpr std::string_view kPickle = "/data.pkl";
constexpr uint64_t kMaxPickleBytes = 64 << 20;
constexpr uint64_t kMaxByteOrderBytes = 16;
constexpr size_t kMaxTensorName = 500;
constexpr int kMaxNesting = 3;
constexpr const char* kWrappers[] = {"state_dict", "model_state_dict", "model",  "module",
                                     "net",        "network",          "weights"};

// "resnet18" of "resnet18/data.pkl": torch.save puts all in one folder.
std::string folder_of(const Members& members, const fs::path& path) {
  std::vector<std::string> folders;
  for (const auto& [name, member] : members) {
    if (name.ends_with(kPickle)) folders.push_back(name.substr(0, name.size() - kPickle.size()));
  }
  if (folders.empty()) {
    throw DataError(fmt::format(
        "{} is a zip archive, but not one of torch.save: it has no data.pkl", path.string()));
  }
  if (folders.size() > 1) {
    throw DataError(
        fmt::format("{} holds {} pickles; torch.save writes one", path.string(), folders.size()));
  }
  return folders[0];
}

void refuse_torchscript(const Members& members, const std::string& folder, const fs::path& path) {
  const bool script = std::any_of(members.begin(), members.end(), [&](const auto& named) {
    return named.first == folder + "/constants.pkl" || named.first.starts_with(folder + "/code/");
  });
  if (!script) return;
  throw DataError(fmt::format(
      "{} is a TorchScript archive, which holds code; convert it with Python: import torch; "
      "torch.save(torch.jit.load('{}', map_location='cpu').state_dict(), 'weights.pth')",
      path.string(), path.filename().string()));
}

void refuse_big_endian(const Members& members, const std::string& folder, const fs::path& path) {
  const auto found = members.find(folder + "/byteorder");
  if (found == members.end()) return;
  std::string order = "?";
  if (found->second.end - found->second.begin <= kMaxByteOrderBytes) {
    const std::vector<uint8_t> bytes = read_zip_member(path, found->first, found->second);
    order.assign(bytes.begin(), bytes.end());
  }
  if (order == "little") return;
  throw DataError(fmt::format(
      "{} has the byte order '{}'; only little-endian files are read: load and save it again with "
      "PyTorch on such a machine",
      path.string(), printable(order)));
}

bool holds_tensors(const PickleDict& dict) {
  return std::any_of(dict.items.begin(), dict.items.end(), [](const auto& item) {
    return item.second->template as<PickleTensor>() != nullptr;
  });
}

const PickleDict* value_of(const PickleDict& dict, std::string_view key) {
  for (const auto& [name, value] : dict.items) {
    const auto* text = name->as<std::string>();
    if (text != nullptr && *text == key) return value->as<PickleDict>();
  }
  return nullptr;
}

// A dict that holds tensors, by the keys that training programs wrap a state dict in.
const PickleDict* find_state_dict(const PickleDict& dict, int depth) {
  if (holds_tensors(dict)) return &dict;
  if (depth == kMaxNesting) return nullptr;
  for (const char* wrapper : kWrappers) {
    const PickleDict* inner = value_of(dict, wrapper);
    const PickleDict* found = inner == nullptr ? nullptr : find_state_dict(*inner, depth + 1);
    if (found != nullptr) return found;
  }
  const PickleDict* only = nullptr;
  for (const auto& [key, value] : dict.items) {
    const auto* inner = value->as<PickleDict>();
    if (inner == nullptr || !holds_tensors(*inner)) continue;
    if (only != nullptr) return nullptr;
    only = inner;
  }
  return only;
}

const PickleDict& state_dict_of(const PickleValue& root, const fs::path& path) {
  const auto* dict = root.as<PickleDict>();
  if (dict == nullptr) {
    throw DataError(fmt::format("{} holds no state dict: save model.state_dict()", path.string()));
  }
  const PickleDict* found = find_state_dict(*dict, 0);
  if (found != nullptr) return *found;
  std::vector<std::string> keys;
  for (const auto& [key, value] : dict->items) {
    const auto* text = key->as<std::string>();
    keys.push_back(text == nullptr ? "?" : printable(*text));
  }
  throw DataError(fmt::format("{} holds no state dict with tensors; its keys are {}", path.string(),
                              keys.empty() ? "none" : join_words(keys, 6)));
}

// Puts a state dict's tensors and their storages into a header.
class Collector {
 public:
  Collector(const Members& members, std::string folder, const fs::path& path)
      : members_(members), folder_(std::move(folder)), path_(path) {}

  PthHeader collect(const PickleTensor& tensor) {
    header_.tensors.emplace("", checked("", tensor));
    return std::move(header_);
  }

  PthHeader collect(const PickleDict& dict) {
    for (const auto& [key, value] : dict.items) {
      const auto* tensor = value->as<PickleTensor>();
      if (tensor == nullptr) continue;
      const auto* name = key->as<std::string>();
      if (name == nullptr || name->empty() || *name != printable(*name, kMaxTensorName)) {
        throw DataError(fmt::format("{}: a tensor's name is no plain text: '{}'", path_.string(),
                                    name == nullptr ? "?" : printable(*name)));
      }
      if (!header_.tensors.emplace(*name, checked(*name, *tensor)).second) {
        throw DataError(fmt::format("{} holds '{}' twice", path_.string(), *name));
      }
    }
    return std::move(header_);
  }

 private:
  DataError fail(const std::string& name, const std::string& why) const {
    return DataError(fmt::format("{}: tensor '{}': {}", path_.string(), name, why));
  }

  PthTensor checked(const std::string& name, const PickleTensor& tensor) {
    const int64_t available = tensor.storage->elements;
    int64_t elements = 1;
    int64_t last = tensor.offset;
    bool impossible = tensor.offset < 0 || tensor.offset > available;
    const bool empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end();
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      int64_t reach = 0;
      impossible =
          impossible || tensor.shape[i] < 0 || tensor.strides[i] < 0 ||
          __builtin_mul_overflow(elements, tensor.shape[i], &elements) ||
          (!empty && (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &reach) ||
                      __builtin_add_overflow(last, reach, &last)));
    }
    if (impossible) throw fail(name, "its shape, strides or offset are impossible");
    if (!empty && (last >= available || elements > available)) {
      throw fail(name, fmt::format("it reaches past its storage of {} elements", available));
    }
    return {storage(name, *tensor.storage), tensor.offset, tensor.shape, tensor.strides};
  }

  // The number of a storage; those that share a key share memory.
  size_t storage(const std::string& name, const PickleStorage& storage) {
    const auto member = members_.find(fmt::format("{}/data/{}", folder_, storage.key));
    if (member == members_.end()) {
      throw fail(name, fmt::format("its storage data/{} is missing", printable(storage.key)));
    }
    const uint64_t bytes = member->second.end - member->second.begin;
    const auto item = static_cast<uint64_t>(safetensors_item_size(storage.dtype));
    if (storage.elements < 0 || bytes % item != 0 ||
        static_cast<uint64_t>(storage.elements) != bytes / item) {
      throw fail(name, fmt::format("its storage data/{} has {} bytes, not {} elements of {}",
                                   storage.key, bytes, storage.elements, storage.dtype));
    }
    const auto [known, added] = numbers_.emplace(storage.key, header_.storages.size());
    if (added) {
      header_.storages.push_back(
          {storage.dtype, member->second.begin, member->second.end, member->second.crc});
    } else if (header_.storages[known->second].dtype != storage.dtype) {
      throw fail(name, fmt::format("its storage data/{} has two types", storage.key));
    }
    return known->second;
  }

  const Members& members_;
  const std::string folder_;
  const fs::path& path_;
  PthHeader header_;
  std::map<std::string, size_t> numbers_;
};

struct OpenedPth {
  Members members;
  std::string folder;
  Pickle pickle;
};

OpenedPth open_pth(const fs::path& path) {
  Members members = read_zip_directory(path);
  const std::string folder = folder_of(members, path);
  refuse_torchscript(members, folder, path);
  refuse_big_endian(members, folder, path);
  const auto member = members.find(folder + std::string(kPickle));
  if (member->second.end - member->second.begin > kMaxPickleBytes) {
    throw DataError(fmt::format("{}: its pickle is larger than any state dict's", path.string()));
  }
  const std::vector<uint8_t> bytes = read_zip_member(path, member->first, member->second);
  return {std::move(members), folder, Pickle(bytes, path.string())};
}

}  // namespace

PthHeader read_pth_header(const fs::path& path) {
  const OpenedPth pth = open_pth(path);
  const PickleDict& dict = state_dict_of(pth.pickle.root(), path);
  return Collector(pth.members, pth.folder, path).collect(dict);
}

PthHeader read_pth_tensor(const fs::path& path) {
  const OpenedPth pth = open_pth(path);
  const auto* tensor = pth.pickle.root().as<PickleTensor>();
  if (tensor == nullptr) {
    throw DataError(fmt::format("{} holds something else than one tensor", path.string()));
  }
  return Collector(pth.members, pth.folder, path).collect(*tensor);
}

}  // namespace dbps

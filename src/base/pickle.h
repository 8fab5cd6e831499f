// What the pickle of a PyTorch state dict says. Nothing is called and nothing is looked up: the
// machine knows the opcodes and the few globals that a state dict of protocol 2 needs, and refuses
// every other by its name.
//
// Known: tensors and parameters (torch._utils._rebuild_tensor_v2, _rebuild_parameter) over storages
// of ten types, collections.OrderedDict with its _metadata, dict, list, tuple, str, int of 64 bits,
// bool, None, float.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace dbps {

struct PickleValue;

struct PickleSequence {  // a list or a tuple
  std::vector<PickleValue*> items;
  bool tuple = false;
};

struct PickleDict {
  std::vector<std::pair<PickleValue*, PickleValue*>> items;  // in the order they were set
  bool ordered = false;                                      // a collections.OrderedDict
};

enum class PickleGlobal { kOrderedDict, kRebuildTensor, kRebuildParameter, kStorageType };

struct PickleFunction {
  PickleGlobal which = PickleGlobal::kOrderedDict;
  std::string dtype;  // of a storage type, in the words of safetensors
};

struct PickleStorage {
  std::string dtype;
  std::string key;  // its member of the archive: "data/<key>"
  int64_t elements = 0;
};

struct PickleTensor {
  const PickleStorage* storage = nullptr;
  int64_t offset = 0;  // elements, as the strides
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};

// std::monostate is None.
struct PickleValue {
  std::variant<std::monostate, bool, int64_t, double, std::string, PickleSequence, PickleDict,
               PickleFunction, PickleStorage, PickleTensor>
      data;
  template <typename T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
};

// Owns the values, which may refer to each other in circles.
class Pickle {
 public:
  // `name` stands at the start of messages. Throws DataError in one line with the opcode's or the
  // global's name and its byte, for all that is not known, not consistent, or too much: values,
  // stack and memo are bounded.
  Pickle(std::span<const uint8_t> bytes, const std::string& name);
  const PickleValue& root() const { return *root_; }

 private:
  friend class PickleMachine;
  std::deque<PickleValue> values_;
  const PickleValue* root_ = nullptr;
};

// A file's text as a message may show it: one line, cut short.
std::string printable(std::string_view text, size_t most = 80);

}  // namespace dbps

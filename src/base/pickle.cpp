#include "base/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/pickle_names.h"

namespace dbps {
namespace {

// A ResNet-152's state dict makes 30,000 values.
constexpr size_t kMaxValues = 1 << 20;
constexpr size_t kMaxGlobalName = 200;
constexpr size_t kMaxDimensions = 16;
constexpr size_t kMaxStorageKey = 20;
constexpr uint8_t kProtocol = 2;

}  // namespace

class PickleMachine {
 public:
  PickleMachine(std::span<const uint8_t> bytes, const std::string& name, Pickle& pickle)
      : bytes_(bytes), name_(name), values_(pickle.values_) {}

  const PickleValue* run() {
    if (bytes_.size() < 2 || bytes_[0] != static_cast<uint8_t>(Opcode::kProto) ||
        bytes_[1] != kProtocol) {
      throw fail("it is not a pickle of protocol 2, which torch.save writes by default");
    }
    at_ = 2;
    while (true) {
      opcode_at_ = at_;
      const uint8_t code = take(1)[0];
      if (static_cast<Opcode>(code) == Opcode::kStop) break;
      step(static_cast<Opcode>(code));
    }
    if (at_ != bytes_.size()) throw fail("bytes follow its end");
    if (stack_.size() != 1 || !marks_.empty()) throw fail("it ends with more or less than a value");
    return stack_[0];
  }

 private:
  using Values = std::vector<PickleValue*>;

  DataError fail(const std::string& why) const {
    return DataError(fmt::format("{}: byte {} of its pickle: {}", name_, opcode_at_, why));
  }
  DataError refuse(const std::string& what) const {
    return fail(
        fmt::format("{} is refused: a state dict needs no such thing, and a weights file "
                    "must not run code; save model.state_dict() alone",
                    what));
  }

  // What moves through the pickle and what holds containers together.
  void step(Opcode opcode) {
    switch (opcode) {
      case Opcode::kMark:
        if (marks_.size() >= kMaxValues) throw fail("it nests too deep");
        return marks_.push_back(stack_.size());
      case Opcode::kTuple:
        return push_tuple(take_to_mark());
      case Opcode::kEmptyTuple:
        return push_tuple({});
      case Opcode::kTuple1:
        return push_tuple(pop_many(1));
      case Opcode::kTuple2:
        return push_tuple(pop_many(2));
      case Opcode::kTuple3:
        return push_tuple(pop_many(3));
      case Opcode::kEmptyList:
        return push(PickleSequence{});
      case Opcode::kAppend:
        return append(pop_many(1));
      case Opcode::kAppends:
        return append(take_to_mark());
      case Opcode::kEmptyDict:
        return push(PickleDict{});
      case Opcode::kSetItem:
        return set_items(pop_many(2));
      case Opcode::kSetItems:
        return set_items(take_to_mark());
      case Opcode::kBinPut:
        return put(little(1));
      case Opcode::kLongBinPut:
        return put(little(4));
      case Opcode::kBinGet:
        return get(little(1));
      case Opcode::kLongBinGet:
        return get(little(4));
      case Opcode::kGlobal:
        return global();
      case Opcode::kReduce:
        return reduce();
      case Opcode::kBuild:
        return build();
      case Opcode::kBinPersId:
        return storage();
      default:
        return scalar(opcode);
    }
  }

  void scalar(Opcode opcode) {
    switch (opcode) {
      case Opcode::kNone:
        return push(std::monostate{});
      case Opcode::kNewTrue:
        return push(true);
      case Opcode::kNewFalse:
        return push(false);
      case Opcode::kBinInt:
        return push(int64_t{static_cast<int32_t>(little(4))});
      case Opcode::kBinInt1:
        return push(static_cast<int64_t>(little(1)));
      case Opcode::kBinInt2:
        return push(static_cast<int64_t>(little(2)));
      case Opcode::kLong1:
        return long_integer();
      case Opcode::kBinFloat: {
        uint64_t bits = 0;
        for (const uint8_t byte : take(8)) bits = (bits << 8) | byte;
        return push(std::bit_cast<double>(bits));
      }
      case Opcode::kBinUnicode: {
        const std::span<const uint8_t> text = take(little(4));
        return push(std::string(text.begin(), text.end()));
      }
      default:
        throw refuse(fmt::format("opcode {}", opcode_name(static_cast<uint8_t>(opcode))));
    }
  }

  std::span<const uint8_t> take(uint64_t count) {
    if (count > bytes_.size() - at_) {
      throw fail(fmt::format("it ends before the {} bytes that are asked for", count));
    }
    const std::span<const uint8_t> taken = bytes_.subspan(at_, count);
    at_ += count;
    return taken;
  }

  uint64_t little(uint64_t count) {
    const std::span<const uint8_t> digits = take(count);
    uint64_t value = 0;
    for (size_t i = digits.size(); i > 0; --i) value = (value << 8) | digits[i - 1];
    return value;
  }

  void long_integer() {
    const uint64_t count = little(1);
    if (count > 8) throw fail("an integer of more than 64 bits");
    uint64_t value = little(count);
    const bool negative = count > 0 && count < 8 && (value >> (8 * count - 1)) != 0;
    if (negative) value |= ~uint64_t{0} << (8 * count);
    push(static_cast<int64_t>(value));
  }

  template <typename T>
  void push(T value) {
    if (values_.size() >= kMaxValues) throw fail("it holds more values than any state dict");
    values_.push_back({std::move(value)});
    push_reference(&values_.back());
  }

  void push_reference(PickleValue* value) {
    if (stack_.size() >= kMaxValues) throw fail("its stack grows too high");
    stack_.push_back(value);
  }

  void push_tuple(Values items) { push(PickleSequence{std::move(items), /*tuple=*/true}); }

  // Values above the last mark.
  size_t available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  PickleValue* pop() { return pop_many(1)[0]; }

  Values pop_many(size_t count) {
    if (available() < count) throw fail("its stack is empty");
    Values popped(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return popped;
  }

  Values take_to_mark() {
    if (marks_.empty()) throw fail("a mark is missing");
    Values popped = pop_many(available());
    marks_.pop_back();
    return popped;
  }

  PickleValue* top() {
    if (available() < 1) throw fail("its stack is empty");
    return stack_.back();
  }

  void append(const Values& items) {
    auto* list = std::get_if<PickleSequence>(&top()->data);
    if (list == nullptr || list->tuple) throw refuse("an append to something that is no list");
    list->items.insert(list->items.end(), items.begin(), items.end());
  }

  void set_items(const Values& items) {
    auto* dict = std::get_if<PickleDict>(&top()->data);
    if (dict == nullptr) throw refuse("an item set in something that is no dict");
    if (items.size() % 2 != 0) throw fail("a key without a value");
    for (size_t i = 0; i < items.size(); i += 2) dict->items.emplace_back(items[i], items[i + 1]);
  }

  void put(uint64_t index) {
    if (index > memo_.size()) throw fail("its memo skips numbers");
    PickleValue* value = top();
    if (index == memo_.size()) memo_.push_back(nullptr);
    memo_[index] = value;
  }

  void get(uint64_t index) {
    if (index >= memo_.size()) throw fail("it recalls what it never kept");
    push_reference(memo_[index]);
  }

  std::string line() {
    const std::span<const uint8_t> rest = bytes_.subspan(at_);
    const auto end = std::find(rest.begin(), rest.end(), '\n');
    const auto length = static_cast<size_t>(end - rest.begin());
    if (end == rest.end() || length > kMaxGlobalName) throw fail("a global's name does not end");
    at_ += length + 1;
    return std::string(rest.begin(), end);
  }

  void global() {
    const std::string module = line();
    const std::string name = line();
    std::optional<PickleFunction> known = known_global(module, name);
    if (!known) throw refuse("the global " + printable(module + "." + name));
    push(std::move(*known));
  }

  void reduce() {
    const PickleValue* arguments = pop();
    const PickleValue* function = pop();
    const auto* given = arguments->as<PickleSequence>();
    const auto* called = function->as<PickleFunction>();
    if (called == nullptr || given == nullptr || !given->tuple) {
      throw refuse("a call (REDUCE) of something that is no known function");
    }
    const Values& items = given->items;
    switch (called->which) {
      case PickleGlobal::kOrderedDict:
        if (!items.empty()) throw refuse("an OrderedDict with arguments");
        return push(PickleDict{{}, /*ordered=*/true});
      case PickleGlobal::kRebuildTensor:
        return tensor(items);
      case PickleGlobal::kRebuildParameter:
        if (items.size() != 3 || items[0]->as<PickleTensor>() == nullptr || !is_flag(items[1]) ||
            !is_empty_dict(items[2])) {
          throw refuse("a parameter of another form");
        }
        return push_reference(items[0]);
      case PickleGlobal::kStorageType:
        throw refuse("a call (REDUCE) of a storage's type");
    }
  }

  static bool is_flag(const PickleValue* value) { return value->as<bool>() != nullptr; }
  static bool is_empty_dict(const PickleValue* value) {
    const auto* dict = value->as<PickleDict>();
    return dict != nullptr && dict->items.empty();
  }

  void tensor(const Values& items) {
    if (items.size() != 6 || !is_flag(items[4]) || !is_empty_dict(items[5])) {
      throw refuse("a tensor of another form (hooks, conjugate or negated views)");
    }
    const auto* storage = items[0]->as<PickleStorage>();
    const auto* offset = items[1]->as<int64_t>();
    if (storage == nullptr || offset == nullptr) throw fail("a tensor without storage or offset");
    PickleTensor tensor{storage, *offset, extents(items[2]), extents(items[3])};
    if (tensor.shape.size() != tensor.strides.size()) {
      throw fail("a tensor with more or fewer strides than dimensions");
    }
    push(std::move(tensor));
  }

  std::vector<int64_t> extents(const PickleValue* value) const {
    const auto* tuple = value->as<PickleSequence>();
    if (tuple == nullptr || !tuple->tuple || tuple->items.size() > kMaxDimensions) {
      throw fail("a tensor's shape or strides are no tuple of up to 16 integers");
    }
    std::vector<int64_t> extents;
    for (const PickleValue* item : tuple->items) {
      const auto* extent = item->as<int64_t>();
      if (extent == nullptr) throw fail("a tensor's shape or strides hold something but integers");
      extents.push_back(*extent);
    }
    return extents;
  }

  void storage() {
    const PickleValue* id = pop();
    const auto* tuple = id->as<PickleSequence>();
    if (tuple == nullptr || !tuple->tuple || tuple->items.size() != 5) {
      throw refuse("a persistent id of another form");
    }
    const auto* kind = tuple->items[0]->as<std::string>();
    const auto* type = tuple->items[1]->as<PickleFunction>();
    const auto* key = tuple->items[2]->as<std::string>();
    const auto* device = tuple->items[3]->as<std::string>();
    const auto* elements = tuple->items[4]->as<int64_t>();
    if (kind == nullptr || *kind != "storage" || type == nullptr ||
        type->which != PickleGlobal::kStorageType || key == nullptr ||
        key->size() > kMaxStorageKey || device == nullptr || elements == nullptr) {
      throw refuse("a persistent id that is no storage");
    }
    push(PickleStorage{type->dtype, *key, *elements});
  }

  // torch keeps the versions of modules beside a state dict; nothing else may be set.
  void build() {
    const PickleValue* state = pop();
    const auto* dict = top()->as<PickleDict>();
    const auto* attributes = state->as<PickleDict>();
    if (dict == nullptr || !dict->ordered || attributes == nullptr) {
      throw refuse("a BUILD of something but an OrderedDict");
    }
    for (const auto& [key, value] : attributes->items) {
      const auto* name = key->as<std::string>();
      if (name == nullptr || *name != "_metadata" || value->as<PickleDict>() == nullptr) {
        throw refuse(
            fmt::format("the attribute '{}' (BUILD)", name == nullptr ? "?" : printable(*name)));
      }
    }
  }

  std::span<const uint8_t> bytes_;
  const std::string& name_;
  std::deque<PickleValue>& values_;
  size_t at_ = 0;
  size_t opcode_at_ = 0;
  Values stack_;
  std::vector<size_t> marks_;
  Values memo_;
};

Pickle::Pickle(std::span<const uint8_t> bytes, const std::string& name) {
  root_ = PickleMachine(bytes, name, *this).run();
}

std::string printable(std::string_view text, size_t most) {
  std::string shown(text.substr(0, most));
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text.size() > most ? shown + "..." : shown;
}

}  // namespace dbps

#include "base/pickle_names.h"

#include <fmt/format.h>

namespace dbps {
namespace {

struct OpcodeName {
  uint8_t code;
  std::string_view name;
};

constexpr OpcodeName kOpcodes[] = {{'(', "MARK"},
                                   {'.', "STOP"},
                                   {'0', "POP"},
                                   {'1', "POP_MARK"},
                                   {'2', "DUP"},
                                   {'F', "FLOAT"},
                                   {'G', "BINFLOAT"},
                                   {'I', "INT"},
                                   {'J', "BININT"},
                                   {'K', "BININT1"},
                                   {'L', "LONG"},
                                   {'M', "BININT2"},
                                   {'N', "NONE"},
                                   {'P', "PERSID"},
                                   {'Q', "BINPERSID"},
                                   {'R', "REDUCE"},
                                   {'S', "STRING"},
                                   {'T', "BINSTRING"},
                                   {'U', "SHORT_BINSTRING"},
                                   {'V', "UNICODE"},
                                   {'X', "BINUNICODE"},
                                   {'a', "APPEND"},
                                   {'b', "BUILD"},
                                   {'c', "GLOBAL"},
                                   {'d', "DICT"},
                                   {'}', "EMPTY_DICT"},
                                   {'e', "APPENDS"},
                                   {'g', "GET"},
                                   {'h', "BINGET"},
                                   {'i', "INST"},
                                   {'j', "LONG_BINGET"},
                                   {'l', "LIST"},
                                   {']', "EMPTY_LIST"},
                                   {'o', "OBJ"},
                                   {'p', "PUT"},
                                   {'q', "BINPUT"},
                                   {'r', "LONG_BINPUT"},
                                   {'s', "SETITEM"},
                                   {'t', "TUPLE"},
                                   {')', "EMPTY_TUPLE"},
                                   {'u', "SETITEMS"},
                                   {'B', "BINBYTES"},
                                   {'C', "SHORT_BINBYTES"},
                                   {0x80, "PROTO"},
                                   {0x81, "NEWOBJ"},
                                   {0x82, "EXT1"},
                                   {0x83, "EXT2"},
                                   {0x84, "EXT4"},
                                   {0x85, "TUPLE1"},
                                   {0x86, "TUPLE2"},
                                   {0x87, "TUPLE3"},
                                   {0x88, "NEWTRUE"},
                                   {0x89, "NEWFALSE"},
                                   {0x8a, "LONG1"},
                                   {0x8b, "LONG4"},
                                   {0x8c, "SHORT_BINUNICODE"},
                                   {0x8d, "BINUNICODE8"},
                                   {0x8e, "BINBYTES8"},
                                   {0x8f, "EMPTY_SET"},
                                   {0x90, "ADDITEMS"},
                                   {0x91, "FROZENSET"},
                                   {0x92, "NEWOBJ_EX"},
                                   {0x93, "STACK_GLOBAL"},
                                   {0x94, "MEMOIZE"},
                                   {0x95, "FRAME"},
                                   {0x96, "BYTEARRAY8"},
                                   {0x97, "NEXT_BUFFER"},
                                   {0x98, "READONLY_BUFFER"}};

struct StorageType {
  std::string_view name;
  std::string_view dtype;
};

constexpr StorageType kStorages[] = {{"FloatStorage", "F32"},     {"DoubleStorage", "F64"},
                                     {"HalfStorage", "F16"},      {"LongStorage", "I64"},
                                     {"BFloat16Storage", "BF16"}, {"IntStorage", "I32"},
                                     {"ShortStorage", "I16"},     {"CharStorage", "I8"},
                                     {"ByteStorage", "U8"},       {"BoolStorage", "BOOL"}};

}  // namespace

std::string opcode_name(uint8_t opcode) {
  for (const OpcodeName& known : kOpcodes) {
    if (known.code == opcode) return std::string(known.name);
  }
  return fmt::format("byte 0x{:02x}", opcode);
}

std::optional<PickleFunction> known_global(std::string_view module, std::string_view name) {
  if (module == "collections" && name == "OrderedDict") {
    return PickleFunction{PickleGlobal::kOrderedDict, ""};
  }
  if (module == "torch._utils" && name == "_rebuild_tensor_v2") {
    return PickleFunction{PickleGlobal::kRebuildTensor, ""};
  }
  if (module == "torch._utils" && name == "_rebuild_parameter") {
    return PickleFunction{PickleGlobal::kRebuildParameter, ""};
  }
  if (module != "torch") return std::nullopt;
  for (const StorageType& storage : kStorages) {
    if (storage.name == name) {
      return PickleFunction{PickleGlobal::kStorageType, std::string(storage.dtype)};
    }
  }
  return std::nullopt;
}

}  // namespace dbps

// The words of the pickle format: its opcodes' names, and the globals a state dict may name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/pickle.h"

namespace dbps {

// Those that the machine knows.
enum class Opcode : uint8_t {
  kProto = 0x80,
  kStop = '.',
  kMark = '(',
  kNone = 'N',
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kLong1 = 0x8a,
  kBinFloat = 'G',
  kBinUnicode = 'X',
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kGlobal = 'c',
  kReduce = 'R',
  kBuild = 'b',
  kBinPersId = 'Q',
};

// "STACK_GLOBAL", as Python's pickletools calls it; "byte 0x07" for what is no opcode.
std::string opcode_name(uint8_t opcode);

// Nothing for a global that is not known.
std::optional<PickleFunction> known_global(std::string_view module, std::string_view name);

}  // namespace dbps

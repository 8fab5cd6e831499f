// The header of a safetensors file.
#include "base/safetensors.h"

#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbps;
  fuzz::refused_or_read([&] {
    const SafetensorsHeader header = parse_safetensors_header({data, size}, size, "input");
    for (const auto& [name, entry] : header.entries) {
      if (entry.begin > entry.end || entry.end > size) std::abort();
    }
  });
  return 0;
}

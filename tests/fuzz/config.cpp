// A configuration's text. One that is taken must, written out, be taken again as the same.
#include "config/config.h"

#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbps;
  fuzz::refused_or_read([&] {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const std::string written = config::to_toml(config::parse(text, "input.toml", {}), true);
    if (config::to_toml(config::parse(written, "written.toml", {}), true) != written) std::abort();
  });
  return 0;
}

// A .pth file: a zip archive with a pickle in it. Checksums keep most mutations out of the pickle,
// which has a target of its own.
#include "base/pth.h"

#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbps;
  const fuzz::InputFile file({data, size});
  for (const auto read : {read_pth_header, read_pth_tensor}) {
    fuzz::refused_or_read([&] {
      for (const PthStorage& storage : read(file.path()).storages) {
        if (storage.begin > storage.end || storage.end > size) std::abort();
      }
    });
  }
  return 0;
}

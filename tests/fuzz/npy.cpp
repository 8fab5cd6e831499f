// The header of a .npy file.
#include "ingest/npy.h"

#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbps;
  const fuzz::InputFile file({data, size});
  fuzz::refused_or_read([&] {
    if (ingest::read_npy_header(file.path()).data_offset > size) std::abort();
  });
  return 0;
}

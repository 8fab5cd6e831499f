// The bytes of a shard file as HDF5 reads them: a whole shard with bytes altered. Three bytes of
// the input are one alteration: a place (two) and what to change there.
#include "store/shard.h"

#include "fuzz/input.h"
#include "support/temp_folder.h"

namespace dbps::fuzz {
namespace {

std::vector<uint8_t> whole_shard() {
  const TempFolder folder;
  store::ShardTables tables;
  tables.sources = {{"a.png", 4, 1, "crc32c:00000000", {}, ""}};
  tables.tiles = {{0, 4, 7, 0, 0, 0}, {4, 4, 7, 0, 4, 0}};
  tables.bags = {{"a", 2, 2, 0, 0, 1, 0, 1.0, 0.0, 0}, {"b", 2, 2, 0, 1, 1, 0, 1.0, 0.0, 0}};
  store::write_shard(folder.path() / "shard-00000.h5", {}, tables, 8, [](int, uint64_t) {});
  return read_file(folder.path() / "shard-00000.h5");
}

}  // namespace
}  // namespace dbps::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbps;
  static const std::vector<uint8_t> whole = fuzz::whole_shard();
  std::vector<uint8_t> bytes = whole;
  for (size_t i = 0; i + 2 < size; i += 3) {
    bytes[(data[i] | data[i + 1] << 8) % bytes.size()] ^= data[i + 2];
  }
  if (size % 3 == 2) bytes.resize((data[size - 2] | data[size - 1] << 8) % bytes.size());
  const fuzz::InputFile file(bytes);
  fuzz::refused_or_read([&] { store::read_shard(file.path()); });
  fuzz::refused_or_read([&] { store::map_shard(file.path()); });
  return 0;
}

// A store whose checksums hold and whose tables say anything: places, sizes and numbers of rows.
#include <fuzzer/FuzzedDataProvider.h>

#include "fuzz/input.h"
#include "store/manifest.h"
#include "store/reader.h"
#include "store/shard.h"
#include "support/temp_folder.h"

namespace dbps::fuzz {
namespace {

constexpr int64_t kMostRows = 6;
constexpr uint64_t kMostBlob = 64;

// Small more often than not, so that most places lie in the shard.
template <typename T>
T number(FuzzedDataProvider& input) {
  return input.ConsumeBool() ? input.ConsumeIntegralInRange<T>(0, 8) : input.ConsumeIntegral<T>();
}

store::Settings settings(FuzzedDataProvider& input) {
  store::Settings settings;
  settings.kind =
      input.PickValueInArray({store::Kind::kImages, store::Kind::kTiles, store::Kind::kFeatures});
  settings.channels = input.ConsumeIntegralInRange(1, 4);
  if (settings.kind == store::Kind::kFeatures) settings.pixel_type = "float32";
  return settings;
}

store::ShardTables tables(FuzzedDataProvider& input) {
  store::ShardTables tables;
  for (int64_t i = input.ConsumeIntegralInRange<int64_t>(0, kMostRows); i > 0; --i) {
    tables.tiles.push_back({number<uint64_t>(input), number<uint32_t>(input), 0,
                            number<uint32_t>(input), number<int32_t>(input), 0});
  }
  for (int64_t i = input.ConsumeIntegralInRange<int64_t>(0, kMostRows); i > 0; --i) {
    tables.sources.push_back({input.ConsumeRandomLengthString(8), 0, 0, "", {}, ""});
  }
  for (int64_t i = input.ConsumeIntegralInRange<int64_t>(0, kMostRows); i > 0; --i) {
    store::Bag bag;
    bag.id = input.ConsumeRandomLengthString(8);
    bag.source = number<uint32_t>(input);
    bag.first_tile = number<int64_t>(input);
    bag.tile_count = number<int64_t>(input);
    bag.part = number<int32_t>(input);
    tables.bags.push_back(bag);
  }
  return tables;
}

void read_all(const std::filesystem::path& folder) {
  const store::Reader reader(folder);
  for (int64_t bag = 0; bag < reader.num_bags(); ++bag) {
    reader.source(bag);
    reader.find_bag(reader.bag(bag).id);
    for (int64_t tile = 0; tile < reader.bag(bag).tile_count; ++tile) {
      refused_or_read([&] { reader.read(bag, tile); });
    }
  }
}

}  // namespace
}  // namespace dbps::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbps;
  static const TempFolder folder;
  FuzzedDataProvider input(data, size);
  store::Manifest manifest;
  manifest.settings = fuzz::settings(input);
  uint64_t blob = input.ConsumeIntegralInRange<uint64_t>(0, fuzz::kMostBlob);
  if (manifest.settings.kind == store::Kind::kFeatures) {
    blob -= blob % store::vector_bytes(manifest.settings);
  }
  const store::ShardTables tables = fuzz::tables(input);
  const std::filesystem::path path = folder.path() / "shard-00000.h5";
  store::write_shard(path, manifest.settings, tables, blob, [](int, uint64_t) {});
  fuzz::refused_or_read([&] {
    manifest.shards = {store::describe_shard(path, store::read_shard(path))};
    store::write_manifest(folder.path(), manifest);
    fuzz::read_all(folder.path());
  });
  return 0;
}

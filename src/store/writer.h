// Making a store, and letting one grow. docs/store.md tells what lies on disk at every moment.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "store/format.h"
#include "store/tile_file.h"
#include "store/vectors.h"

namespace dbps::store {

struct WriterOptions {
  Settings settings;
  uint64_t shard_bytes =
      4'000'000'000;  // encoded bytes a shard; a bag larger than that gets its own
  int threads = 1;    // that check existing shards when the store is opened
  // This writer makes the shards offset, offset + stride, ...: writers of several processes on one
  // folder do not meet. Each seals its own; then one of stride 1 opens the folder and finishes.
  int64_t shard_offset = 0;
  int64_t shard_stride = 1;
};

struct EncodedTile {
  std::span<const uint8_t> bytes;  // borrowed until append returns
  int32_t x = 0;
  int32_t y = 0;
};

class Writer {
 public:
  // Creates the folder, opens a store to add to, or goes on with an unfinished one. Every bag that
  // is already there is checked: what is damaged is dropped, so that `contains` says no and it is
  // appended again; what is whole in a damaged shard moves to a new one.
  // Throws ConfigError when the store has other settings or another writer is at work, DataError
  // for a damaged store.json.
  Writer(const std::filesystem::path& folder, const WriterOptions& options);
  // Without finish(), what was appended stays for the next writer.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Any thread may call these.
  bool contains(const std::string& id, int32_t part = 0) const;
  // `bag.source`, `first_tile` and `tile_count` are set here. Throws DataError for an id and part
  // that is already there, RuntimeFault when the disk fails; then nothing of the bag is stored.
  void append(const Bag& bag, const Source& source, std::span<const uint8_t> bytes);
  void append(const Bag& bag, const Source& source, std::span<const EncodedTile> tiles);
  // Copies what the file of tiles holds; memory is flat in their number.
  void append(const Bag& bag, const Source& source, const TileFile& tiles);
  // kind = features; `source.hash` is set here too. Memory is flat in N; what `vectors.read` throws
  // comes out.
  void append(const Bag& bag, const Source& source, const Vectors& vectors);

  int64_t num_bags() const;  // those found at opening included

  // Makes a shard of what was appended since the last one. One thread.
  void seal();
  // seal(), then store.json, which makes it all visible to readers. One thread; the last call.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::store

// Reading a store: the tables once through HDF5, pixels and vectors by pread without any lock.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "store/format.h"

namespace dbps::store {

// A tile of a store: its number within its bag.
struct TilePlace {
  int64_t bag = 0;
  int64_t tile = 0;
};

// Tiles `first` .. `last` - 1 of a bag.
struct TileRange {
  int64_t bag = 0;
  int64_t first = 0;
  int64_t last = 0;
};

// Opens read-only, with HDF5's file locking off (network file systems). Immutable once reading has
// begun; any number of threads may read. One reader a store a process.
class Reader {
 public:
  // Throws DataError naming store.json or the shard that is missing, truncated or altered.
  explicit Reader(const std::filesystem::path& folder);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  const std::filesystem::path& folder() const;
  const Settings& settings() const;
  const std::string& fingerprint() const;  // of the pixels, from store.json
  std::string identity() const;            // of the shard files: their names, sizes and checksums

  int64_t num_shards() const;
  int64_t num_bags() const;  // in order of (id, part)
  const Bag& bag(int64_t index) const;
  // Whether it is a later part of the slide that the bag before it belongs to.
  bool is_later_part(int64_t bag_index) const;
  const Source& source(int64_t bag_index) const;
  const std::string& shard_name(int64_t bag_index) const;  // "shard-00000.h5"
  uint64_t blob_offset(int64_t bag_index) const;  // in its shard; tiles' offsets count from there
  std::vector<Tile> tiles(int64_t bag_index) const;  // a copy of its rows
  int64_t stored_bytes(int64_t bag_index) const;     // encoded, of all its tiles
  int64_t find_bag(const std::string& id) const;     // its first part; -1 when absent

  // From now on the bytes of `ranges`, one a bag, come from the files in `folder` that have their
  // shards' names and hold those bytes at the shards' places (LocalCopy); other tiles of those bags
  // from the shards, as before. Before any reading; not thread-safe. Throws DataError.
  void read_from(const std::filesystem::path& folder, const std::vector<TileRange>& ranges);
  bool reads_copy(int64_t bag_index) const;  // of some of its tiles

  // Encoded bytes of tile `tile` (0 .. tile_count-1) of a bag; thread-safe. The CRC is checked:
  // throws DataError naming shard and bag.
  std::vector<uint8_t> read(int64_t bag_index, int64_t tile = 0) const;
  // The same into memory of the caller's, tile(bag_index, tile).bytes of it: spares a pass over
  // memory that read() fills with zeros first.
  void read_into(std::span<uint8_t> out, int64_t bag_index, int64_t tile = 0) const;
  Tile tile(int64_t bag_index, int64_t tile = 0) const;
  // Gives back the memory of the tables that were read so far; what is asked for again comes from
  // the files. Any thread, also while others read.
  void forget_tables() const;
  // Many tiles, of any bags, in the order given: those that lie end to end come in one pread, and
  // no byte of another tile is read. `visit` gets each one's place in `tiles` and its encoded
  // bytes, borrowed until it returns. `buffer` is the caller's, to be reused. Thread-safe; errors
  // as of read().
  void read_tiles(std::span<const TilePlace> tiles, std::vector<uint8_t>& buffer,
                  const std::function<void(size_t, std::span<const uint8_t>)>& visit) const;
  // kind = features: the vectors of numbers `rows` (ascending), end to end, into `out` of
  // rows.size() x vector_bytes(settings()). No byte of another vector is read; otherwise as read().
  void read_vectors(int64_t bag_index, std::span<const int64_t> rows, uint8_t* out) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::store

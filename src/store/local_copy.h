// A copy of some of a store's bags on a local disk, for runs that read them again and again.
//
// One folder a share of a store:
//   in-use         locked by the runs that read here; its time says when the last one began
//   copying        locked by the one that writes here
//   copied         "part id" of each bag of which all is there, a line a bag
//   shard-00000.h5 as long as the store's, with the share's bytes at the same places and holes
//                  elsewhere: Reader::read_from() takes it in the shard's stead
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "store/reader.h"

namespace dbps::store {

// Of every slide, the tiles that fall to numbers `first` .. `last` - 1 of `of` equal shares of its
// tiles, whatever parts it has (share_of): what a node needs that does not hold slides alone.
struct Portion {
  int64_t first = 0;
  int64_t last = 1;
  int64_t of = 1;
};

// Not thread-safe. A process that is killed leaves what the next one goes on with.
class LocalCopy {
 public:
  // Of a portion of the `bags` of `store`, which it borrows, below the folder `scratch`. `share`
  // ("home 1 of 4") and portion tell apart the copies of one store; the same store under another
  // path has the same ones. Touches nothing.
  LocalCopy(const Reader& store, const std::filesystem::path& scratch, const std::string& share,
            std::vector<int64_t> bags, const Portion& portion = {});

  const std::filesystem::path& folder() const { return folder_; }
  const std::vector<int64_t>& bags() const { return bags_; }
  std::vector<TileRange> ranges() const;  // of each bag what it is to hold

  uint64_t bytes() const;  // of those
  // Makes the folder and keeps it from eviction for as long as this lives. The caller holds the
  // scratch folder's lock (scratch.h). Throws RuntimeFault.
  void claim();
  // Bytes of room that it still needs, in whole blocks.
  uint64_t bytes_missing() const;
  // Takes that room, where the file system can. Throws RuntimeFault when it is not there.
  void reserve() const;

  struct Filled {
    uint64_t copied = 0;  // bytes
    uint64_t kept = 0;    // that were there already
  };
  // Copies what is missing in `threads` threads, every checksum checked, and syncs it; waits while
  // another process does. `go_on(bytes)` is called between two pieces, from any thread, and with 0
  // every 0.1 s while waiting; it may throw, to end it. Throws DataError naming shard and bag when
  // the store is damaged, RuntimeFault when the disk fails.
  Filled fill(int threads, const std::function<void(uint64_t)>& go_on);

 private:
  using BagName = std::pair<std::string, int32_t>;  // id, part

  BagName name_of(int64_t bag) const;
  std::set<BagName> read_copied() const;
  void write_copied(const std::set<BagName>& names) const;
  // What holds and is to hold bytes of which bags: by the name of the shard.
  std::vector<std::vector<int64_t>> by_shard(const std::vector<int64_t>& bags) const;
  std::vector<int64_t> wanted() const;  // bags_, and those that are copied already
  TileRange range_of(int64_t bag) const;
  std::vector<Tile> tiles_of(int64_t bag) const;  // those in that range
  uint64_t bytes_of(int64_t bag) const;
  std::vector<Tile> tiles_by_offset(const std::vector<int64_t>& bags) const;
  FileDescriptor open_file(int64_t bag) const;
  Filled fill_shard(const std::vector<int64_t>& bags, int threads,
                    const std::function<void(uint64_t)>& go_on) const;
  [[noreturn]] void damaged(const std::vector<int64_t>& bags, const Tile& tile) const;

  const Reader& store_;
  std::filesystem::path folder_;
  std::vector<int64_t> bags_;
  Portion portion_;
  FileDescriptor in_use_;
};

}  // namespace dbps::store

// A shard that is still growing: encoded bytes in `shard-N.spool`, one checksummed line a bag in
// `shard-N.journal`. A killed writer leaves both; opening them again keeps every bag that is whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "store/manifest.h"
#include "store/shard.h"

namespace dbps::store {

// One bag as the journal has it; the tiles' offsets are places in the spool.
struct SpooledBag {
  Bag bag;
  Source source;
  std::vector<Tile> tiles;
};

// Hands a bag's bytes, tile after tile, to its argument in pieces of any size.
using ByteSink = std::function<void(std::span<const uint8_t>)>;
using ByteSource = std::function<void(const ByteSink&)>;

// Not thread-safe: the writer that owns it locks.
class Spool {
 public:
  // Opens or creates the pair of files. A torn last line is dropped, a bag whose bytes do not have
  // their checksum too. Throws ConfigError when the pair was begun with other settings,
  // RuntimeFault when it cannot be written.
  Spool(const std::filesystem::path& folder, int64_t number, const Settings& settings);

  // Bytes first, then the line: a bag is in the journal only once its bytes are in the spool.
  // The tiles say how many bytes come; their offsets are set here. After an exception nothing of
  // the bag is there.
  void append(SpooledBag spooled, const ByteSource& bytes);

  const std::vector<SpooledBag>& bags() const { return bags_; }
  uint64_t bytes() const { return spool_bytes_; }

  // Makes shard-N.h5 of what is there, bags in id order, and removes the pair. The tables come back
  // in `tables`.
  ShardEntry seal(ShardTables& tables);
  void remove();

 private:
  void replay();
  void write_line(const std::string& content);
  ShardTables lay_out();

  std::filesystem::path folder_;
  int64_t number_;
  Settings settings_;
  std::filesystem::path spool_path_;
  std::filesystem::path journal_path_;
  // First to come and last to go: what a killed writer left is found by its journal.
  FileDescriptor journal_;
  FileDescriptor spool_;
  uint64_t spool_bytes_ = 0;
  uint64_t journal_bytes_ = 0;
  std::vector<SpooledBag> bags_;
};

std::filesystem::path journal_path(const std::filesystem::path& folder, int64_t number);
std::filesystem::path spool_path(const std::filesystem::path& folder, int64_t number);

}  // namespace dbps::store

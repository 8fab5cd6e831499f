#include "store/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"
#include "store/manifest.h"
#include "store/shard.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPiece = 4 << 20;

// One pass over a shard file: the checksum of the whole, and of each tile on the way.
class ShardCheck {
 public:
  ShardCheck(const fs::path& path, const std::function<void(uint64_t)>& advance)
      : path_(path), file_(open_for_reading(path)), advance_(advance) {}

  // Rows of /tiles whose bytes are altered; all tiles lie inside the file.
  std::set<int64_t> run(const Shard& shard, uint64_t file_bytes) {
    const std::vector<Tile>& tiles = shard.tables.tiles;
    std::vector<int64_t> order(tiles.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](int64_t a, int64_t b) { return tiles[a].offset < tiles[b].offset; });
    std::set<int64_t> altered;
    uint64_t last_start = 0, last_bytes = 0;
    uint32_t crc = 0;
    for (const int64_t row : order) {
      const uint64_t start = shard.blob_offset + tiles[row].offset;
      // Many tiles may share the same bytes.
      if (start != last_start || tiles[row].bytes != last_bytes) {
        pass(position_, start);
        crc = crc_of(start, tiles[row].bytes);
        last_start = start;
        last_bytes = tiles[row].bytes;
      }
      if (crc != tiles[row].crc32c) altered.insert(row);
    }
    pass(position_, file_bytes);
    return altered;
  }

  uint32_t whole() const { return whole_; }

 private:
  void pass(uint64_t from, uint64_t to) {
    if (to > from) crc_of(from, to - from);
  }

  uint32_t crc_of(uint64_t start, uint64_t bytes) {
    uint32_t crc = 0;
    for (uint64_t at = start; at < start + bytes;) {
      const uint64_t size = std::min(kPiece, start + bytes - at);
      buffer_.resize(size);
      pread_exactly(file_.get(), buffer_.data(), size, at, path_);
      crc = crc32c(buffer_.data(), size, crc);
      if (at == position_) {
        whole_ = crc32c(buffer_.data(), size, whole_);
        position_ += size;
        advance_(size);
      }
      at += size;
    }
    return crc;
  }

  const fs::path& path_;
  FileDescriptor file_;
  const std::function<void(uint64_t)>& advance_;
  std::vector<uint8_t> buffer_;
  uint64_t position_ = 0;
  uint32_t whole_ = 0;
};

// What one shard adds to the whole verification.
Verification check_shard(const fs::path& folder, const ShardEntry* listed, const std::string& name,
                         const std::function<void(uint64_t)>& advance) {
  Verification result;
  const fs::path path = folder / name;
  const auto damaged = [&](const std::string& what) {
    result.damages.push_back({name, "", "", what});
  };
  std::error_code error;
  const uint64_t file_bytes = fs::file_size(path, error);
  if (error) {
    damaged("missing");
    return result;
  }
  result.shards = 1;
  result.bytes = file_bytes;
  try {
    open_for_reading(path);
  } catch (const DataError& failure) {
    result.damages.push_back({name, "", "", failure.what(), /*is_open=*/false});
    return result;
  }
  try {
    if (listed) check_frame(path, *listed);
    const Shard shard = read_shard(path);
    ShardCheck check(path, advance);
    const std::set<int64_t> altered = check.run(shard, file_bytes);
    const ShardTables& tables = shard.tables;
    for (const Bag& bag : tables.bags) {
      const auto first = altered.lower_bound(bag.first_tile);
      if (first != altered.end() && *first < bag.first_tile + bag.tile_count) {
        result.damages.push_back({name, bag.id, tables.sources[bag.source].path, "checksum"});
      }
    }
    if (listed && result.damages.empty() && check.whole() != listed->crc32c) {
      damaged("bytes outside the bags are altered");
    }
    result.bags = static_cast<int64_t>(tables.bags.size());
    result.tiles = static_cast<int64_t>(tables.tiles.size());
  } catch (const DataError& failure) {
    damaged(failure.what());
  }
  return result;
}

std::vector<std::string> shards_on_disk(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".h5" && shard_number(entry.path()) >= 0) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Verification verify(const fs::path& folder, int threads,
                    const std::function<void(uint64_t, uint64_t)>& progress) {
  Verification result;
  Manifest manifest;
  std::vector<std::string> names;
  try {
    manifest = read_manifest(folder);
    for (const ShardEntry& entry : manifest.shards) names.push_back(entry.name);
  } catch (const DataError& error) {
    if (!fs::exists(manifest_path(folder))) throw;
    result.damages.push_back({"store.json", "", "", error.what()});
    names = shards_on_disk(folder);
  }
  uint64_t in_all = 0;
  for (const std::string& name : names) {
    std::error_code missing;
    const uint64_t bytes = fs::file_size(folder / name, missing);
    if (!missing) in_all += bytes;
  }
  std::atomic<uint64_t> done{0};
  const std::function<void(uint64_t)> advance = [&](uint64_t bytes) {
    done += bytes;
    if (progress) progress(done, in_all);
  };
  std::vector<Verification> parts(names.size());
  parallel_for(static_cast<int64_t>(names.size()), threads, [&](int64_t i) {
    const ShardEntry* listed = manifest.shards.empty() ? nullptr : &manifest.shards[i];
    parts[i] = check_shard(folder, listed, names[i], advance);
  });
  for (const Verification& part : parts) {
    result.shards += part.shards;
    result.bags += part.bags;
    result.tiles += part.tiles;
    result.bytes += part.bytes;
    result.damages.insert(result.damages.end(), part.damages.begin(), part.damages.end());
  }
  return result;
}

}  // namespace dbps::store

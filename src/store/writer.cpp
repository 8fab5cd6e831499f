#include "store/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <mutex>
#include <set>
#include <utility>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/parallel.h"
#include "store/manifest.h"
#include "store/shard.h"
#include "store/spool.h"
#include "store/tile_runs.h"

namespace dbps::store {

namespace fs = std::filesystem;

namespace {

struct SealedShard {
  ShardEntry entry;
  ShardTables tables;
};

// Writers of one folder exclude each other; those that share it by stride only exclude the others.
// Where the file system has no locks, nothing is excluded.
FileDescriptor lock_folder(const fs::path& folder, bool shared) {
  FileDescriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file) throw RuntimeFault(errno_message(fmt::format("cannot open {}", folder.string())));
  if (::flock(file.get(), (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    throw ConfigError(
        fmt::format("another process writes to {}: wait until it has finished", folder.string()));
  }
  return file;
}

std::span<const Tile> tiles_of(const Shard& shard, const Bag& bag) {
  return std::span(shard.tables.tiles).subspan(bag.first_tile, bag.tile_count);
}

// The bags of a shard whose bytes hold.
std::vector<Bag> whole_bags(const fs::path& path, const Shard& shard) {
  const FileDescriptor file = open_for_reading(path);
  std::vector<Bag> whole;
  for (const Bag& bag : shard.tables.bags) {
    if (tiles_hold(file.get(), shard.blob_offset, tiles_of(shard, bag), path)) whole.push_back(bag);
  }
  return whole;
}

}  // namespace

struct Writer::State {
  fs::path folder;
  WriterOptions options;
  FileDescriptor lock;
  mutable std::mutex mutex;
  std::set<std::pair<std::string, int32_t>> done;
  std::vector<SealedShard> sealed;
  std::vector<fs::path> replaced;  // damaged shards, removed once store.json no longer names them
  std::unique_ptr<Spool> spool;
  int64_t next_number = 0;
  bool changed = false;

  bool is_mine(int64_t number) const {
    return number >= 0 && number % options.shard_stride == options.shard_offset;
  }

  void take(ShardEntry entry, ShardTables tables) {
    for (const Bag& bag : tables.bags) {
      if (!done.emplace(bag.id, bag.part).second) {
        throw DataError(fmt::format("{}: the bag '{}' is in another shard too",
                                    (folder / entry.name).string(), bag.id));
      }
    }
    sealed.push_back({std::move(entry), std::move(tables)});
  }

  void check_settings(const Settings& found) const {
    if (found == options.settings) return;
    throw ConfigError(
        fmt::format("{} has other settings, {}: ingest with those, or into another folder",
                    folder.string(), settings_difference(found, options.settings)));
  }

  // The shards that store.json names, with every byte checked.
  void open_listed() {
    const Manifest manifest = read_manifest(folder);
    check_settings(manifest.settings);
    const auto count = static_cast<int64_t>(manifest.shards.size());
    std::vector<char> holds(count);
    parallel_for(count, options.threads, [&](int64_t i) {
      const ShardEntry& entry = manifest.shards[i];
      const fs::path path = folder / entry.name;
      std::error_code missing;
      holds[i] = fs::file_size(path, missing) == entry.bytes && !missing &&
                 file_crc32c(path) == entry.crc32c;
    });
    for (int64_t i = 0; i < count; ++i) {
      const ShardEntry& entry = manifest.shards[i];
      const fs::path path = folder / entry.name;
      reserve(shard_number(entry.name));
      if (holds[i]) {
        take(entry, read_shard(path).tables);
      } else if (is_mine(shard_number(entry.name))) {
        log::warning("{} is damaged or missing: its bags are checked and made again",
                     path.string());
        replaced.push_back(path);
        changed = true;
      }
    }
  }

  // Whole shards that no store.json names yet: a writer was killed before the end.
  void open_unlisted(const fs::path& path) {
    reserve(shard_number(path));
    try {
      Shard shard = read_shard(path);
      check_settings(shard.settings);
      if (whole_bags(path, shard).size() == shard.tables.bags.size()) {
        ShardEntry entry = describe_shard(path, shard);
        take(std::move(entry), std::move(shard.tables));
        changed = true;
        return;
      }
    } catch (const DataError& error) {
      log::warning("{}", error.what());
    }
    replaced.push_back(path);
  }

  void open_spool(int64_t number) {
    reserve(number);
    const bool sealed_already = std::any_of(sealed.begin(), sealed.end(), [&](const auto& shard) {
      return shard.entry.name == shard_file_name(number);
    });
    std::error_code ignored;
    if (sealed_already) {
      fs::remove(spool_path(folder, number), ignored);
      fs::remove(journal_path(folder, number), ignored);
      return;
    }
    if (spool) seal();
    spool = std::make_unique<Spool>(folder, number, options.settings);
    for (const SpooledBag& spooled : spool->bags()) {
      if (!done.emplace(spooled.bag.id, spooled.bag.part).second) {
        throw DataError(fmt::format("{}: the bag '{}' is in another shard too",
                                    journal_path(folder, number).string(), spooled.bag.id));
      }
    }
  }

  void open_folder() {
    const bool listed = fs::exists(manifest_path(folder));
    if (listed) open_listed();
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::set<std::string> known;
    for (const SealedShard& shard : sealed) known.insert(shard.entry.name);
    for (const fs::path& path : replaced) known.insert(path.filename().string());
    std::vector<int64_t> journals;
    for (const fs::path& path : paths) {
      if (path.extension() == ".tmp" && is_mine(shard_number(path.stem()))) fs::remove(path);
      if (!is_mine(shard_number(path))) continue;
      if (path.extension() == ".h5" && !known.contains(path.filename().string())) {
        open_unlisted(path);
      }
      if (path.extension() == ".journal") journals.push_back(shard_number(path));
    }
    for (const int64_t number : journals) open_spool(number);
    changed = changed || !listed;
  }

  // What is whole in damaged shards must not depend on the sources still being there.
  void salvage() {
    for (const fs::path& path : replaced) {
      try {
        const Shard shard = read_shard(path);
        check_settings(shard.settings);
        const FileDescriptor file = open_for_reading(path);
        for (const Bag& bag : whole_bags(path, shard)) {
          if (!done.contains({bag.id, bag.part})) copy_bag(file.get(), path, shard, bag);
        }
      } catch (const DataError& error) {
        log::warning("{}", error.what());
      }
    }
  }

  void copy_bag(int fd, const fs::path& path, const Shard& shard, const Bag& bag) {
    const std::span<const Tile> tiles = tiles_of(shard, bag);
    append(SpooledBag{bag, shard.tables.sources[bag.source], {tiles.begin(), tiles.end()}},
           [&](const ByteSink& write) {
             for_each_run(fd, shard.blob_offset, tiles, path, [&](const TileRun& run) {
               write(run.bytes);
               return true;
             });
           });
  }

  void reserve(int64_t number) {
    while (next_number <= number) next_number += options.shard_stride;
  }

  void append(SpooledBag spooled, const ByteSource& bytes) {
    uint64_t size = 0;
    for (const Tile& tile : spooled.tiles) size += tile.bytes;
    const std::pair<std::string, int32_t> key(spooled.bag.id, spooled.bag.part);
    if (done.contains(key)) {
      throw DataError(fmt::format("the bag '{}' is already in {}", key.first, folder.string()));
    }
    if (spool && !spool->bags().empty() && spool->bytes() + size > options.shard_bytes) seal();
    if (!spool) {
      spool = std::make_unique<Spool>(folder, next_number, options.settings);
      reserve(next_number);
    }
    spool->append(std::move(spooled), bytes);
    done.insert(key);
  }

  void seal() {
    if (!spool) return;
    if (spool->bags().empty()) {
      spool->remove();
    } else {
      ShardTables tables;
      ShardEntry entry = spool->seal(tables);
      sealed.push_back({std::move(entry), std::move(tables)});
      changed = true;
    }
    spool.reset();
  }
};

Writer::Writer(const fs::path& folder, const WriterOptions& options)
    : state_(std::make_unique<State>()) {
  DBPS_CHECK(options.shard_stride >= 1 && options.shard_offset >= 0 &&
                 options.shard_offset < options.shard_stride,
             "the shard offset must lie below the stride");
  make_folders(folder);
  state_->folder = folder;
  state_->options = options;
  state_->next_number = options.shard_offset;
  state_->lock = lock_folder(folder, options.shard_stride > 1);
  state_->open_folder();
  state_->salvage();
}

Writer::~Writer() = default;

bool Writer::contains(const std::string& id, int32_t part) const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->done.contains({id, part});
}

int64_t Writer::num_bags() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return static_cast<int64_t>(state_->done.size());
}

void Writer::append(const Bag& bag, const Source& source, std::span<const uint8_t> bytes) {
  const EncodedTile tile{bytes, 0, 0};
  append(bag, source, std::span(&tile, 1));
}

void Writer::append(const Bag& bag, const Source& source, std::span<const EncodedTile> tiles) {
  SpooledBag spooled{bag, source, {}};
  for (const EncodedTile& tile : tiles) {
    if (tile.bytes.size() > std::numeric_limits<uint32_t>::max()) {
      throw DataError(fmt::format("{}: over 4 GB encoded, which a store does not hold", bag.id));
    }
    spooled.tiles.push_back({0, static_cast<uint32_t>(tile.bytes.size()),
                             crc32c(tile.bytes.data(), tile.bytes.size()), 0, tile.x, tile.y});
  }
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->append(std::move(spooled), [&](const ByteSink& write) {
    for (const EncodedTile& tile : tiles) write(tile.bytes);
  });
}

void Writer::append(const Bag& bag, const Source& source, const TileFile& tiles) {
  const std::span<const Tile> all = tiles.tiles();
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->append({bag, source, {all.begin(), all.end()}}, [&](const ByteSink& write) {
    for_each_run(tiles.descriptor(), 0, all, source.path, [&](const TileRun& run) {
      write(run.bytes);
      return true;
    });
  });
}

void Writer::append(const Bag& bag, const Source& source, const Vectors& vectors) {
  const Settings& settings = state_->options.settings;
  SpooledBag spooled{bag, source, {}};
  spooled.tiles = measure_vectors(vectors, settings, spooled.source.hash);
  const std::vector<Tile> tiles = spooled.tiles;
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->append(std::move(spooled), [&](const ByteSink& write) {
    copy_vectors(vectors, settings, tiles, source.path, write);
  });
}

void Writer::seal() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->seal();
}

void Writer::finish() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  State& state = *state_;
  state.seal();
  if (state.changed) {
    std::sort(state.sealed.begin(), state.sealed.end(),
              [](const auto& a, const auto& b) { return a.entry.name < b.entry.name; });
    Manifest manifest{state.options.settings, {}, "", ""};
    std::vector<const ShardTables*> tables;
    for (const SealedShard& shard : state.sealed) {
      manifest.shards.push_back(shard.entry);
      tables.push_back(&shard.tables);
    }
    manifest.fingerprint = fingerprint_of(tables);
    write_manifest(state.folder, manifest);
    state.changed = false;
  }
  std::error_code ignored;
  for (const fs::path& path : state.replaced) fs::remove(path, ignored);
  state.replaced.clear();
}

}  // namespace dbps::store

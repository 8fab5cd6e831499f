#include "store/local_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/text.h"
#include "store/scratch.h"
#include "store/tile_runs.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kBlock = 4096;
constexpr uint64_t kPieceBytes = 16 << 20;
constexpr std::chrono::milliseconds kWaitingBeat{100};

struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;
};

// The blocks of a file that `tiles`, in order of offset, touch.
std::vector<Range> blocks_of(const std::vector<Tile>& tiles, uint64_t blob_offset) {
  std::vector<Range> ranges;
  for (const Tile& tile : tiles) {
    const uint64_t begin = (blob_offset + tile.offset) / kBlock * kBlock;
    const uint64_t end = (blob_offset + tile.offset + tile.bytes + kBlock - 1) / kBlock * kBlock;
    if (ranges.empty() || begin > ranges.back().end) {
      ranges.push_back({begin, end});
    } else {
      ranges.back().end = std::max(ranges.back().end, end);
    }
  }
  return ranges;
}

uint64_t total(const std::vector<Range>& ranges) {
  uint64_t bytes = 0;
  for (const Range& range : ranges) bytes += range.end - range.begin;
  return bytes;
}

uint64_t total(std::span<const Tile> tiles) {
  uint64_t bytes = 0;
  for (const Tile& tile : tiles) bytes += tile.bytes;
  return bytes;
}

// Some megabytes of tiles each.
std::vector<std::span<const Tile>> cut_into_pieces(std::span<const Tile> tiles) {
  std::vector<std::span<const Tile>> pieces;
  for (size_t first = 0; first < tiles.size(); first += pieces.back().size()) {
    size_t count = 0;
    uint64_t bytes = 0;
    while (first + count < tiles.size() && bytes < kPieceBytes)
      bytes += tiles[first + count++].bytes;
    pieces.push_back(tiles.subspan(first, count));
  }
  return pieces;
}

// Whether nothing was ever written there. What cannot be told is read and checked.
bool is_hole(int fd, uint64_t begin, uint64_t end) {
  const off_t data = ::lseek(fd, static_cast<off_t>(begin), SEEK_DATA);
  return data < 0 ? errno == ENXIO : static_cast<uint64_t>(data) >= end;
}

[[noreturn]] void fail(const std::string& what, const fs::path& path) {
  throw RuntimeFault(errno_message(fmt::format("cannot {} {}", what, path.string())));
}

FileDescriptor open_or_make(const fs::path& path) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!file) fail("open", path);
  return file;
}

FileDescriptor lock_when_free(const fs::path& path, const std::function<void(uint64_t)>& go_on) {
  FileDescriptor file = open_or_make(path);
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) fail("lock", path);
    go_on(0);
    std::this_thread::sleep_for(kWaitingBeat);
  }
  return file;
}

}  // namespace

LocalCopy::LocalCopy(const Reader& store, const fs::path& scratch, const std::string& share,
                     std::vector<int64_t> bags, const Portion& portion)
    : store_(store), bags_(std::move(bags)), portion_(portion) {
  std::string text = store.identity() + "\n" + share;
  if (portion.last - portion.first < portion.of) {
    text += fmt::format(", shares {} to {} of {}", portion.first, portion.last, portion.of);
  }
  folder_ = scratch / fmt::format("{}{:016x}", kCopyPrefix, stable_hash(text.data(), text.size()));
}

void LocalCopy::claim() {
  make_folders(folder_);
  const fs::path path = folder_ / kInUse;
  in_use_ = open_or_make(path);
  if (::flock(in_use_.get(), LOCK_SH) != 0) fail("lock", path);
  ::futimens(in_use_.get(), nullptr);
}

LocalCopy::BagName LocalCopy::name_of(int64_t bag) const {
  return {store_.bag(bag).id, store_.bag(bag).part};
}

std::set<LocalCopy::BagName> LocalCopy::read_copied() const {
  std::set<BagName> names;
  const fs::path path = folder_ / "copied";
  if (!fs::exists(path)) return names;
  for (const std::string& line : split(read_text_file(path), '\n')) {
    int32_t part = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), part);
    if (error != std::errc() || end == line.data() + line.size()) continue;
    names.emplace(std::string(end + 1, line.data() + line.size()), part);
  }
  return names;
}

void LocalCopy::write_copied(const std::set<BagName>& names) const {
  std::string text;
  for (const auto& [id, part] : names) text += fmt::format("{} {}\n", part, id);
  write_file_atomic(folder_ / "copied", text);
}

std::vector<std::vector<int64_t>> LocalCopy::by_shard(const std::vector<int64_t>& bags) const {
  std::map<std::string, std::vector<int64_t>> shards;
  for (const int64_t bag : bags) shards[store_.shard_name(bag)].push_back(bag);
  std::vector<std::vector<int64_t>> result;
  for (auto& [name, of_shard] : shards) result.push_back(std::move(of_shard));
  return result;
}

std::vector<int64_t> LocalCopy::wanted() const {
  std::set<int64_t> all(bags_.begin(), bags_.end());
  for (const BagName& name : read_copied()) {
    const int64_t bag = store_.find_bag(name.first);
    if (bag >= 0 && bag + name.second < store_.num_bags()) all.insert(bag + name.second);
  }
  return {all.begin(), all.end()};
}

TileRange LocalCopy::range_of(int64_t bag) const {
  const int64_t first_part = bag - store_.bag(bag).part;
  int64_t before = 0;
  int64_t all = 0;
  for (int64_t part = first_part;
       part < store_.num_bags() && (part == first_part || store_.is_later_part(part)); ++part) {
    if (part == bag) before = all;
    all += store_.bag(part).tile_count;
  }
  const int64_t count = store_.bag(bag).tile_count;
  const int64_t first = share_of(all, portion_.first, portion_.of).first - before;
  const int64_t last = share_of(all, portion_.last - 1, portion_.of).second - before;
  return {bag, std::clamp<int64_t>(first, 0, count), std::clamp<int64_t>(last, 0, count)};
}

std::vector<TileRange> LocalCopy::ranges() const {
  std::vector<TileRange> ranges;
  for (const int64_t bag : bags_) ranges.push_back(range_of(bag));
  return ranges;
}

std::vector<Tile> LocalCopy::tiles_of(int64_t bag) const {
  const TileRange range = range_of(bag);
  const std::vector<Tile> all = store_.tiles(bag);
  return {all.begin() + range.first, all.begin() + range.last};
}

uint64_t LocalCopy::bytes_of(int64_t bag) const { return total(tiles_of(bag)); }

std::vector<Tile> LocalCopy::tiles_by_offset(const std::vector<int64_t>& bags) const {
  std::vector<Tile> tiles;
  for (const int64_t bag : bags) {
    const std::vector<Tile> of_bag = tiles_of(bag);
    tiles.insert(tiles.end(), of_bag.begin(), of_bag.end());
  }
  std::sort(tiles.begin(), tiles.end(),
            [](const Tile& a, const Tile& b) { return a.offset < b.offset; });
  const auto same = [](const Tile& a, const Tile& b) {
    return a.offset == b.offset && a.bytes == b.bytes;
  };
  tiles.erase(std::unique(tiles.begin(), tiles.end(), same), tiles.end());
  return tiles;
}

// As long as the shard from the start, so that any place of it can be read.
FileDescriptor LocalCopy::open_file(int64_t bag) const {
  const fs::path shard = store_.folder() / store_.shard_name(bag);
  const fs::path path = folder_ / store_.shard_name(bag);
  FileDescriptor file = open_or_make(path);
  const uint64_t bytes = file_bytes(open_for_reading(shard), shard);
  if (file_bytes(file, path) != bytes && ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) {
    fail("write", path);
  }
  return file;
}

uint64_t LocalCopy::bytes() const {
  uint64_t bytes = 0;
  for (const int64_t bag : bags_) bytes += bytes_of(bag);
  return bytes;
}

uint64_t LocalCopy::bytes_missing() const {
  uint64_t missing = 0;
  for (const std::vector<int64_t>& bags : by_shard(wanted())) {
    const uint64_t whole =
        total(blocks_of(tiles_by_offset(bags), store_.blob_offset(bags.front())));
    struct stat status {};
    const fs::path path = folder_ / store_.shard_name(bags.front());
    const uint64_t taken =
        ::stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
    missing += whole > taken ? whole - taken : 0;
  }
  return missing;
}

void LocalCopy::reserve() const {
  for (const std::vector<int64_t>& bags : by_shard(bags_)) {
    const FileDescriptor file = open_file(bags.front());
    const uint64_t end = file_bytes(file, folder_);
    for (const Range& range : blocks_of(tiles_by_offset(bags), store_.blob_offset(bags.front()))) {
      const uint64_t bytes = std::min(range.end, end) - range.begin;
      if (::fallocate(file.get(), 0, static_cast<off_t>(range.begin), static_cast<off_t>(bytes)) ==
          0) {
        continue;
      }
      if (errno == EOPNOTSUPP || errno == ENOSYS) return;
      fail("take room for", folder_ / store_.shard_name(bags.front()));
    }
  }
}

void LocalCopy::damaged(const std::vector<int64_t>& bags, const Tile& tile) const {
  const auto holds = [&](int64_t bag) {
    const std::vector<Tile> tiles = tiles_of(bag);
    return std::any_of(tiles.begin(), tiles.end(),
                       [&](const Tile& one) { return one.offset == tile.offset; });
  };
  const auto bag = std::find_if(bags.begin(), bags.end(), holds);
  DBPS_CHECK(bag != bags.end(), "a tile of no bag");
  throw DataError(fmt::format("{}: the bag '{}' is damaged (checksum): run `dbps verify {}`",
                              (store_.folder() / store_.shard_name(*bag)).string(),
                              store_.bag(*bag).id, store_.folder().string()));
}

LocalCopy::Filled LocalCopy::fill_shard(const std::vector<int64_t>& bags, int threads,
                                        const std::function<void(uint64_t)>& go_on) const {
  const fs::path from = store_.folder() / store_.shard_name(bags.front());
  const fs::path to = folder_ / store_.shard_name(bags.front());
  const uint64_t base = store_.blob_offset(bags.front());
  const FileDescriptor source = open_for_reading(from);
  const FileDescriptor file = open_file(bags.front());
  const std::vector<Tile> tiles = tiles_by_offset(bags);
  std::atomic<uint64_t> kept{0};
  const auto copy = [&](std::span<const Tile> some, std::vector<uint8_t>& buffer) {
    for_each_run(source.get(), base, some, from, buffer, [&](const TileRun& run) {
      const int64_t altered = first_altered(run);
      if (altered >= 0) damaged(bags, run.tiles[static_cast<size_t>(altered)]);
      pwrite_exactly(file.get(), run.bytes.data(), run.bytes.size(), base + run.tiles[0].offset,
                     to);
      go_on(run.bytes.size());
      return true;
    });
  };
  const std::vector<std::span<const Tile>> pieces = cut_into_pieces(tiles);
  const auto fill_piece = [&](std::span<const Tile> piece) {
    std::vector<uint8_t> buffer;
    if (is_hole(file.get(), base + piece.front().offset,
                base + piece.back().offset + piece.back().bytes)) {
      return copy(piece, buffer);
    }
    // Somebody was here before and was ended.
    std::vector<uint8_t> found;
    for_each_run(file.get(), base, piece, to, found, [&](const TileRun& run) {
      if (first_altered(run) >= 0) {
        copy(run.tiles, buffer);
      } else {
        kept += run.bytes.size();
        go_on(run.bytes.size());
      }
      return true;
    });
  };
  parallel_for(static_cast<int64_t>(pieces.size()), threads, [&](int64_t i) {
    fill_piece(pieces[i]);
    // Piece by piece, so that the last sync is no long one.
    if (::fdatasync(file.get()) != 0) fail("sync", to);
  });
  if (::fsync(file.get()) != 0) fail("sync", to);
  return {total(tiles) - kept, kept};
}

LocalCopy::Filled LocalCopy::fill(int threads, const std::function<void(uint64_t)>& go_on) {
  const FileDescriptor alone = lock_when_free(folder_ / "copying", go_on);
  std::set<BagName> copied = read_copied();
  std::vector<int64_t> missing;
  Filled filled;
  for (const int64_t bag : bags_) {
    if (!copied.contains(name_of(bag))) {
      missing.push_back(bag);
      continue;
    }
    const uint64_t bytes = bytes_of(bag);
    filled.kept += bytes;
    go_on(bytes);
  }
  for (const std::vector<int64_t>& bags : by_shard(missing)) {
    const Filled of_shard = fill_shard(bags, threads, go_on);
    filled.copied += of_shard.copied;
    filled.kept += of_shard.kept;
    for (const int64_t bag : bags) copied.insert(name_of(bag));
    write_copied(copied);
  }
  return filled;
}

}  // namespace dbps::store

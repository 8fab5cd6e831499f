#include "store/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <tuple>
#include <unordered_map>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "store/manifest.h"
#include "store/shard.h"
#include "store/tile_runs.h"

namespace dbps::store {

namespace fs = std::filesystem;

namespace {

// What bytes are read from: a shard, or a copy that has some of its bytes at the same places.
struct OpenFile {
  fs::path path;
  FileDescriptor descriptor;
  std::string advice;  // what to do about damage
};

struct OpenShard {
  std::string name;
  OpenFile file;
  MappedShard content;
};

struct BagPlace {
  const OpenShard* shard = nullptr;
  const Bag* bag = nullptr;
  const OpenFile* copy = nullptr;  // of the tiles in [copy_first, copy_last)
  int64_t copy_first = 0;
  int64_t copy_last = 0;

  const OpenFile& file_of(int64_t tile) const {
    return copy_first <= tile && tile < copy_last ? *copy : shard->file;
  }
};

// A piece stays in a core's cache between its pread and its checksum; from a disk, the kernel reads
// the next one ahead meanwhile.
constexpr uint64_t kPieceBytes = 1 << 20;

// Returns the checksum of what was read.
uint32_t pread_checked(const OpenFile& file, std::span<uint8_t> out, uint64_t offset) {
  uint32_t checksum = 0;
  for (uint64_t at = 0; at < out.size(); at += kPieceBytes) {
    const auto piece = out.subspan(at, std::min<uint64_t>(kPieceBytes, out.size() - at));
    pread_exactly(file.descriptor.get(), piece.data(), piece.size(), offset + at, file.path);
    checksum = crc32c(piece.data(), piece.size(), checksum);
  }
  return checksum;
}

std::string advice(const fs::path& folder) {
  return fmt::format("run `dbps verify {}`", folder.string());
}

OpenShard open_shard(const fs::path& folder, const ShardEntry& entry, const Settings& settings) {
  const fs::path path = folder / entry.name;
  OpenShard shard{entry.name, {path, {}, advice(folder)}, {}};
  check_frame(path, entry);
  shard.file.descriptor = open_for_reading(path);
  shard.content = map_shard(path);
  if (!(shard.content.settings == settings) ||
      static_cast<int64_t>(shard.content.bags.size()) != entry.bags ||
      shard.content.tiles.size() != entry.tiles) {
    throw DataError(fmt::format("{} is not the shard that store.json names: {}", path.string(),
                                shard.file.advice));
  }
  return shard;
}

}  // namespace

struct Reader::State {
  fs::path folder;
  Manifest manifest;
  std::vector<OpenShard> shards;
  std::deque<OpenFile> copies;
  std::vector<BagPlace> bags;  // in order of (id, part)
  std::unordered_map<std::string, int64_t> first_of_id;

  const BagPlace& place(int64_t index) const {
    DBPS_CHECK(index >= 0 && index < static_cast<int64_t>(bags.size()),
               fmt::format("bag {} of {}", index, bags.size()));
    return bags[index];
  }
};

Reader::Reader(const fs::path& folder) : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.folder = folder;
  state.manifest = read_manifest(folder);
  state.shards.reserve(state.manifest.shards.size());
  for (const ShardEntry& entry : state.manifest.shards) {
    state.shards.push_back(open_shard(folder, entry, state.manifest.settings));
  }
  for (const OpenShard& shard : state.shards) {
    for (const Bag& bag : shard.content.bags) state.bags.push_back({&shard, &bag});
  }
  std::sort(state.bags.begin(), state.bags.end(), [](const BagPlace& a, const BagPlace& b) {
    return std::tie(a.bag->id, a.bag->part) < std::tie(b.bag->id, b.bag->part);
  });
  for (size_t i = 0; i < state.bags.size(); ++i) {
    const BagPlace& here = state.bags[i];
    if (i > 0 && state.bags[i - 1].bag->id == here.bag->id &&
        state.bags[i - 1].bag->part == here.bag->part) {
      throw DataError(fmt::format("the bag '{}' is in {} and in {}: {}", here.bag->id,
                                  state.bags[i - 1].shard->name, here.shard->name, advice(folder)));
    }
    state.first_of_id.emplace(here.bag->id, static_cast<int64_t>(i));
  }
}

Reader::~Reader() = default;

const fs::path& Reader::folder() const { return state_->folder; }
const Settings& Reader::settings() const { return state_->manifest.settings; }
const std::string& Reader::fingerprint() const { return state_->manifest.fingerprint; }

std::string Reader::identity() const {
  std::string text = fingerprint();
  for (const ShardEntry& shard : state_->manifest.shards) {
    text += fmt::format("\n{} {} {:08x}", shard.name, shard.bytes, shard.crc32c);
  }
  return fmt::format("{:016x}", stable_hash(text.data(), text.size()));
}

int64_t Reader::num_shards() const { return static_cast<int64_t>(state_->shards.size()); }

int64_t Reader::num_bags() const { return static_cast<int64_t>(state_->bags.size()); }

const Bag& Reader::bag(int64_t index) const { return *state_->place(index).bag; }

bool Reader::is_later_part(int64_t bag_index) const {
  return bag_index > 0 && bag(bag_index).id == bag(bag_index - 1).id;
}

const Source& Reader::source(int64_t bag_index) const {
  const BagPlace& place = state_->place(bag_index);
  return place.shard->content.sources[place.bag->source];
}

const std::string& Reader::shard_name(int64_t bag_index) const {
  return state_->place(bag_index).shard->name;
}

uint64_t Reader::blob_offset(int64_t bag_index) const {
  return state_->place(bag_index).shard->content.blob_offset;
}

std::vector<Tile> Reader::tiles(int64_t bag_index) const {
  const BagPlace& place = state_->place(bag_index);
  std::vector<Tile> tiles;
  tiles.reserve(static_cast<size_t>(place.bag->tile_count));
  for (int64_t i = 0; i < place.bag->tile_count; ++i) {
    tiles.push_back(place.shard->content.tiles[place.bag->first_tile + i]);
  }
  return tiles;
}

int64_t Reader::stored_bytes(int64_t bag_index) const {
  const BagPlace& place = state_->place(bag_index);
  int64_t bytes = 0;
  for (int64_t i = 0; i < place.bag->tile_count; ++i) {
    bytes += place.shard->content.tiles[place.bag->first_tile + i].bytes;
  }
  return bytes;
}

void Reader::read_from(const fs::path& folder, const std::vector<TileRange>& ranges) {
  std::map<const OpenShard*, const OpenFile*> opened;
  for (const TileRange& range : ranges) {
    const OpenShard* shard = state_->place(range.bag).shard;
    const OpenFile*& file = opened[shard];
    if (file == nullptr) {
      const fs::path path = folder / shard->name;
      file = &state_->copies.emplace_back(OpenFile{
          path, open_for_reading(path),
          fmt::format("remove {} and start again, which copies it anew", folder.string())});
    }
    BagPlace& place = state_->bags[range.bag];
    place.copy = file;
    place.copy_first = range.first;
    place.copy_last = range.last;
  }
}

bool Reader::reads_copy(int64_t bag_index) const {
  return state_->place(bag_index).copy != nullptr;
}

int64_t Reader::find_bag(const std::string& id) const {
  const auto found = state_->first_of_id.find(id);
  return found == state_->first_of_id.end() ? -1 : found->second;
}

Tile Reader::tile(int64_t bag_index, int64_t tile) const {
  const BagPlace& place = state_->place(bag_index);
  DBPS_CHECK(
      tile >= 0 && tile < place.bag->tile_count,
      fmt::format("tile {} of {} of the bag '{}'", tile, place.bag->tile_count, place.bag->id));
  return place.shard->content.tiles[place.bag->first_tile + tile];
}

void Reader::forget_tables() const {
  for (const OpenShard& shard : state_->shards) shard.content.tiles.forget();
}

void Reader::read_vectors(int64_t bag_index, std::span<const int64_t> rows, uint8_t* out) const {
  const BagPlace& place = state_->place(bag_index);
  DBPS_CHECK(settings().kind == Kind::kFeatures, "vectors lie in a store of features");
  DBPS_CHECK(rows.empty() || (rows.front() >= 0 && rows.back() < place.bag->tile_count),
             fmt::format("a vector that the bag '{}' does not have", place.bag->id));
  const OpenShard& shard = *place.shard;
  const TileTable& tiles = shard.content.tiles;
  const uint64_t width = vector_bytes(settings());
  for (size_t first = 0; first < rows.size();) {
    const Tile head = tiles[place.bag->first_tile + rows[first]];
    const OpenFile& file = place.file_of(rows[first]);
    size_t count = 1;
    while (first + count < rows.size() && (count + 1) * width <= kPieceBytes &&
           &place.file_of(rows[first + count]) == &file &&
           tiles[place.bag->first_tile + rows[first + count]].offset ==
               head.offset + count * width) {
      ++count;
    }
    pread_exactly(file.descriptor.get(), out, count * width,
                  shard.content.blob_offset + head.offset, file.path);
    for (size_t i = 0; i < count; ++i, out += width) {
      const int64_t row = rows[first + i];
      if (crc32c(out, width) == tiles[place.bag->first_tile + row].crc32c) continue;
      throw DataError(fmt::format("{}: vector {} of the bag '{}' is damaged (checksum): {}",
                                  file.path.string(), row, place.bag->id, file.advice));
    }
    first += count;
  }
}

void Reader::read_tiles(std::span<const TilePlace> tiles, std::vector<uint8_t>& buffer,
                        const std::function<void(size_t, std::span<const uint8_t>)>& visit) const {
  std::vector<Tile> of_file;
  for (size_t first = 0; first < tiles.size(); first += of_file.size()) {
    const auto file_of = [&](size_t i) {
      return &state_->place(tiles[i].bag).file_of(tiles[i].tile);
    };
    const OpenFile& file = *file_of(first);
    of_file.clear();
    for (size_t i = first; i < tiles.size() && file_of(i) == &file; ++i) {
      of_file.push_back(tile(tiles[i].bag, tiles[i].tile));
    }
    size_t next = first;
    for_each_run(file.descriptor.get(), blob_offset(tiles[first].bag), of_file, file.path, buffer,
                 [&](const TileRun& run) {
                   const int64_t altered = first_altered(run);
                   if (altered >= 0) {
                     const TilePlace& bad = tiles[next + static_cast<size_t>(altered)];
                     throw DataError(
                         fmt::format("{}: tile {} of the bag '{}' is damaged (checksum): {}",
                                     file.path.string(), bad.tile, bag(bad.bag).id, file.advice));
                   }
                   const uint8_t* bytes = run.bytes.data();
                   for (const Tile& one : run.tiles) {
                     visit(next++, {bytes, one.bytes});
                     bytes += one.bytes;
                   }
                   return true;
                 });
  }
}

std::vector<uint8_t> Reader::read(int64_t bag_index, int64_t tile) const {
  std::vector<uint8_t> bytes(this->tile(bag_index, tile).bytes);
  read_into(bytes, bag_index, tile);
  return bytes;
}

void Reader::read_into(std::span<uint8_t> out, int64_t bag_index, int64_t tile) const {
  const Tile wanted = this->tile(bag_index, tile);
  DBPS_CHECK(out.size() == wanted.bytes,
             fmt::format("{} bytes for a tile of {}", out.size(), wanted.bytes));
  const OpenFile& file = state_->place(bag_index).file_of(tile);
  if (pread_checked(file, out, blob_offset(bag_index) + wanted.offset) == wanted.crc32c) return;
  throw DataError(fmt::format("{}: the bag '{}' is damaged (checksum): {}", file.path.string(),
                              bag(bag_index).id, file.advice));
}

}  // namespace dbps::store

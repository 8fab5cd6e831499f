#include "store/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/log.h"
#include "store/tile_runs.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kPrefix = 9;  // eight hexadecimal digits of checksum and a space

FileDescriptor open_for_appending(const fs::path& path) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!file) throw RuntimeFault(errno_message(fmt::format("cannot write {}", path.string())));
  return file;
}

// What a failed or killed append left behind the last whole one is overwritten.
void cut_and_seek(int fd, uint64_t end, const fs::path& path) {
  if (::ftruncate(fd, static_cast<off_t>(end)) != 0 ||
      ::lseek(fd, static_cast<off_t>(end), SEEK_SET) < 0) {
    throw RuntimeFault(errno_message(fmt::format("cannot write {}", path.string())));
  }
}

std::string checksummed(const std::string& content) {
  return fmt::format("{:08x} {}\n", crc32c(content.data(), content.size()), content);
}

std::string to_line(const SpooledBag& spooled) {
  const auto& [bag, source, tiles] = spooled;
  json rows = json::array();
  for (const Tile& tile : tiles) {
    rows.push_back({tile.offset, tile.bytes, tile.crc32c, tile.x, tile.y});
  }
  const json line = {{"id", bag.id},
                     {"width", bag.width},
                     {"height", bag.height},
                     {"level", bag.level},
                     {"downsample", bag.downsample},
                     {"mpp", bag.mpp},
                     {"part", bag.part},
                     {"source",
                      {{"path", source.path},
                       {"bytes", source.bytes},
                       {"mtime", source.mtime},
                       {"hash", source.hash},
                       {"jpeg_tables", source.jpeg_tables},
                       {"photometric", source.photometric}}},
                     {"tiles", std::move(rows)}};
  try {
    return line.dump();
  } catch (const json::exception&) {
    throw DataError(fmt::format("{}: its name is not UTF-8: rename it", source.path));
  }
}

SpooledBag from_line(const std::string& content) {
  const json line = json::parse(content);
  SpooledBag spooled;
  Bag& bag = spooled.bag;
  bag.id = line.at("id");
  bag.width = line.at("width");
  bag.height = line.at("height");
  bag.level = line.at("level");
  bag.downsample = line.at("downsample");
  bag.mpp = line.at("mpp");
  bag.part = line.at("part");
  const json& source = line.at("source");
  spooled.source = {source.at("path"), source.at("bytes"),       source.at("mtime"),
                    source.at("hash"), source.at("jpeg_tables"), source.at("photometric")};
  for (const json& row : line.at("tiles")) {
    spooled.tiles.push_back({row.at(0), row.at(1), row.at(2), 0, row.at(3), row.at(4)});
  }
  return spooled;
}

bool is_whole(const SpooledBag& spooled, int fd, uint64_t spool_bytes, const fs::path& path) {
  for (const Tile& tile : spooled.tiles) {
    if (tile.offset > spool_bytes || tile.bytes > spool_bytes - tile.offset) return false;
  }
  return tiles_hold(fd, 0, spooled.tiles, path);
}

}  // namespace

fs::path journal_path(const fs::path& folder, int64_t number) {
  return (folder / shard_file_name(number)).replace_extension(".journal");
}

fs::path spool_path(const fs::path& folder, int64_t number) {
  return (folder / shard_file_name(number)).replace_extension(".spool");
}

Spool::Spool(const fs::path& folder, int64_t number, const Settings& settings)
    : folder_(folder),
      number_(number),
      settings_(settings),
      spool_path_(spool_path(folder, number)),
      journal_path_(journal_path(folder, number)),
      journal_(open_for_appending(journal_path_)),
      spool_(open_for_appending(spool_path_)) {
  replay();
}

void Spool::replay() {
  const std::string text = read_text_file(journal_path_);
  const uint64_t spool_bytes = fs::file_size(spool_path_);
  std::set<std::pair<std::string, int32_t>> seen;
  bool has_settings = false;
  size_t start = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', start)) {
    const std::string line = text.substr(start, end - start + 1);
    const std::string content =
        line.size() > kPrefix ? line.substr(kPrefix, line.size() - kPrefix - 1) : "";
    if (checksummed(content) != line) break;
    start = end + 1;
    if (!has_settings) {
      const Settings begun = settings_from_text(content);
      if (begun != settings_) {
        throw ConfigError(
            fmt::format("{} was begun with other settings, {}: finish it with those, or remove the "
                        "folder to start over",
                        folder_.string(), settings_difference(begun, settings_)));
      }
      has_settings = true;
      continue;
    }
    SpooledBag spooled = from_line(content);
    if (!is_whole(spooled, spool_.get(), spool_bytes, spool_path_)) {
      log::warning("{}: the bag '{}' is damaged and will be ingested again", spool_path_.string(),
                   spooled.bag.id);
    } else if (seen.emplace(spooled.bag.id, spooled.bag.part).second) {
      for (const Tile& tile : spooled.tiles) {
        spool_bytes_ = std::max(spool_bytes_, tile.offset + tile.bytes);
      }
      bags_.push_back(std::move(spooled));
    }
  }
  journal_bytes_ = start;
  if (!has_settings) write_line(settings_to_text(settings_));
}

void Spool::write_line(const std::string& content) {
  const std::string line = checksummed(content);
  cut_and_seek(journal_.get(), journal_bytes_, journal_path_);
  write_exactly(journal_.get(), line.data(), line.size(), journal_path_);
  journal_bytes_ += line.size();
}

void Spool::append(SpooledBag spooled, const ByteSource& bytes) {
  cut_and_seek(spool_.get(), spool_bytes_, spool_path_);
  uint64_t end = spool_bytes_;
  for (Tile& tile : spooled.tiles) {
    tile.offset = end;
    end += tile.bytes;
  }
  uint64_t written = spool_bytes_;
  bytes([&](std::span<const uint8_t> piece) {
    write_exactly(spool_.get(), piece.data(), piece.size(), spool_path_);
    written += piece.size();
  });
  DBPS_CHECK(written == end, "a bag's tiles say how many bytes come");
  write_line(to_line(spooled));
  spool_bytes_ = end;
  bags_.push_back(std::move(spooled));
}

// The tables of the shard to be; the tiles' order in them is their order in the blob.
ShardTables Spool::lay_out() {
  std::sort(bags_.begin(), bags_.end(), [](const SpooledBag& a, const SpooledBag& b) {
    return std::tie(a.bag.id, a.bag.part) < std::tie(b.bag.id, b.bag.part);
  });
  ShardTables tables;
  uint64_t offset = 0;
  for (const SpooledBag& spooled : bags_) {
    Bag bag = spooled.bag;
    bag.source = static_cast<uint32_t>(tables.sources.size());
    bag.first_tile = static_cast<int64_t>(tables.tiles.size());
    bag.tile_count = static_cast<int64_t>(spooled.tiles.size());
    for (Tile tile : spooled.tiles) {
      tile.offset = offset;
      tile.source = bag.source;
      offset += tile.bytes;
      tables.tiles.push_back(tile);
    }
    tables.sources.push_back(spooled.source);
    tables.bags.push_back(std::move(bag));
  }
  return tables;
}

ShardEntry Spool::seal(ShardTables& tables) {
  tables = lay_out();
  const fs::path path = folder_ / shard_file_name(number_);
  const fs::path temporary = path.string() + ".tmp";
  const uint64_t blob_bytes =
      tables.tiles.empty() ? 0 : tables.tiles.back().offset + tables.tiles.back().bytes;
  write_shard(temporary, settings_, tables, blob_bytes, [&](int fd, uint64_t offset) {
    if (::lseek(fd, static_cast<off_t>(offset), SEEK_SET) < 0) {
      throw RuntimeFault(errno_message(fmt::format("cannot write {}", temporary.string())));
    }
    for (const SpooledBag& spooled : bags_) {
      for_each_run(spool_.get(), 0, spooled.tiles, spool_path_, [&](const TileRun& run) {
        if (first_altered(run) >= 0) {
          throw RuntimeFault(fmt::format("{}: the bag '{}' changed on disk: run ingest again",
                                         spool_path_.string(), spooled.bag.id));
        }
        write_exactly(fd, run.bytes.data(), run.bytes.size(), temporary);
        return true;
      });
    }
  });
  ShardEntry entry = describe_shard(temporary, read_shard(temporary));
  entry.name = path.filename().string();
  rename_into_place(temporary, path);
  remove();
  return entry;
}

void Spool::remove() {
  std::error_code ignored;
  fs::remove(spool_path_, ignored);
  fs::remove(journal_path_, ignored);
}

}  // namespace dbps::store

#include "store/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "base/text.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kFormat = "dbps-store";

json to_json(const Settings& settings) {
  json value = {{"kind", kind_name(settings.kind)},  {"codec", codec_name(settings.codec)},
                {"quality", settings.quality},       {"channels", settings.channels},
                {"pixel_type", settings.pixel_type}, {"longest", settings.longest},
                {"tile_size", settings.tile_size},   {"mpp", settings.mpp}};
  const auto put = [&](const char* name, const auto& field) { value[name] = field; };
  const bool extracted = !settings.encoder.kind.empty();
  if (settings.kind == Kind::kTiles || extracted) visit_tile_settings(settings.tiles, put);
  if (extracted) visit_encoder_origin(settings.encoder, put);
  return value;
}

Settings settings_from_json(const json& value) {
  Settings settings;
  settings.kind = kind_of(value.at("kind"));
  settings.codec = codec_of(value.at("codec"));
  settings.quality = value.at("quality");
  settings.channels = value.at("channels");
  settings.pixel_type = value.at("pixel_type");
  settings.longest = value.at("longest");
  settings.tile_size = value.at("tile_size");
  settings.mpp = value.at("mpp");
  if (settings.kind == Kind::kImages) return settings;
  const auto take_if_there = [&](const char* name, auto& field) {
    if (value.contains(name)) value.at(name).get_to(field);
  };
  visit_tile_settings(settings.tiles, take_if_there);
  visit_encoder_origin(settings.encoder, take_if_there);
  return settings;
}

std::string hex(uint32_t crc) { return fmt::format("{:08x}", crc); }

uint32_t from_hex(const std::string& text) {
  return static_cast<uint32_t>(std::stoul(text, nullptr, 16));
}

uint32_t range_crc32c(const fs::path& path, uint64_t from, uint64_t to, uint32_t crc) {
  const FileDescriptor file = open_for_reading(path);
  std::vector<uint8_t> piece(std::min<uint64_t>(to - from, 4 << 20));
  for (uint64_t at = from; at < to; at += piece.size()) {
    const size_t bytes = std::min<uint64_t>(piece.size(), to - at);
    pread_exactly(file.get(), piece.data(), bytes, at, path);
    crc = crc32c(piece.data(), bytes, crc);
  }
  return crc;
}

uint32_t frame_crc32c(const fs::path& path, const ShardEntry& entry) {
  const uint32_t head = range_crc32c(path, 0, entry.blob_offset, 0);
  return range_crc32c(path, entry.blob_offset + entry.blob_bytes, entry.bytes, head);
}

std::string checksum(const json& document) {
  const std::string text = document.dump();
  return hex(crc32c(text.data(), text.size()));
}

Manifest from_json(const json& document) {
  if (document.at("format") != kFormat) throw DataError("it is not of a dbps store");
  if (document.at("version") != kFormatVersion) {
    throw DataError(fmt::format("format version {}, but this program reads {}",
                                document.at("version").dump(), kFormatVersion));
  }
  Manifest manifest;
  manifest.settings = settings_from_json(document.at("settings"));
  manifest.fingerprint = document.at("fingerprint");
  manifest.tool_version = document.at("tool_version");
  for (const json& shard : document.at("shards")) {
    manifest.shards.push_back({shard.at("name"), shard.at("bytes"), from_hex(shard.at("crc32c")),
                               shard.at("bags"), shard.at("tiles"), shard.at("blob_offset"),
                               shard.at("blob_bytes"), from_hex(shard.at("frame_crc32c"))});
    if (shard_number(manifest.shards.back().name) < 0) throw DataError("a shard's name is wrong");
  }
  return manifest;
}

}  // namespace

fs::path manifest_path(const fs::path& folder) { return folder / "store.json"; }

Manifest read_manifest(const fs::path& folder) {
  const fs::path path = manifest_path(folder);
  if (!fs::exists(path)) {
    bool begun = false;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      begun = begun || shard_number(entry.path()) >= 0;
    }
    throw DataError(
        begun ? fmt::format("{} is not finished: run the same `dbps ingest` (or `extract`) again",
                            folder.string())
              : fmt::format("{} is not a store: it has no store.json", folder.string()));
  }
  const std::string text = read_text_file(path);
  try {
    json document = json::parse(text);
    const std::string expected = document.at("crc32c");
    document.erase("crc32c");
    if (checksum(document) != expected) throw DataError("its checksum does not hold");
    return from_json(document);
  } catch (const std::exception& error) {
    throw DataError(
        fmt::format("{} is damaged ({}): remove it and run the same `dbps ingest` again, which "
                    "keeps every shard that is whole",
                    path.string(), error.what()));
  }
}

void write_manifest(const fs::path& folder, const Manifest& manifest) {
  json document = {{"format", kFormat},
                   {"version", kFormatVersion},
                   {"tool_version", DBPS_VERSION},
                   {"settings", to_json(manifest.settings)},
                   {"fingerprint", manifest.fingerprint},
                   {"shards", json::array()}};
  for (const ShardEntry& shard : manifest.shards) {
    document["shards"].push_back({{"name", shard.name},
                                  {"bytes", shard.bytes},
                                  {"crc32c", hex(shard.crc32c)},
                                  {"bags", shard.bags},
                                  {"tiles", shard.tiles},
                                  {"blob_offset", shard.blob_offset},
                                  {"blob_bytes", shard.blob_bytes},
                                  {"frame_crc32c", hex(shard.frame_crc32c)}});
  }
  document["crc32c"] = checksum(document);
  write_file_atomic(manifest_path(folder), document.dump(2) + "\n");
}

std::string settings_to_text(const Settings& settings) { return to_json(settings).dump(); }

Settings settings_from_text(const std::string& text) {
  try {
    return settings_from_json(json::parse(text));
  } catch (const json::exception& error) {
    throw DataError(fmt::format("settings cannot be read: {}", error.what()));
  }
}

void Fingerprint::add(std::string_view id, const std::vector<std::span<const Tile>>& parts) {
  std::string content(id);
  for (const std::span<const Tile> tiles : parts) {
    for (const Tile& tile : tiles) content += fmt::format("\n{:08x} {}", tile.crc32c, tile.bytes);
  }
  content += fmt::format("\n{:016x}", value_);
  value_ = stable_hash(content.data(), content.size());
}

std::string Fingerprint::text() const { return fmt::format("{:016x}", value_); }

std::string fingerprint_of(const std::vector<const ShardTables*>& shards) {
  std::vector<std::tuple<std::string_view, int32_t, std::span<const Tile>>> parts;
  for (const ShardTables* tables : shards) {
    for (const Bag& bag : tables->bags) {
      parts.emplace_back(bag.id, bag.part,
                         std::span(tables->tiles).subspan(bag.first_tile, bag.tile_count));
    }
  }
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
    return std::pair(std::get<0>(a), std::get<1>(a)) < std::pair(std::get<0>(b), std::get<1>(b));
  });
  Fingerprint fingerprint;
  for (size_t i = 0; i < parts.size();) {
    const std::string_view id = std::get<0>(parts[i]);
    std::vector<std::span<const Tile>> tiles;
    for (; i < parts.size() && std::get<0>(parts[i]) == id; ++i) {
      tiles.push_back(std::get<2>(parts[i]));
    }
    fingerprint.add(id, tiles);
  }
  return fingerprint.text();
}

uint32_t file_crc32c(const fs::path& path) { return range_crc32c(path, 0, fs::file_size(path), 0); }

ShardEntry describe_shard(const fs::path& path, const Shard& shard) {
  ShardEntry entry;
  entry.name = path.filename().string();
  entry.bytes = fs::file_size(path);
  entry.crc32c = file_crc32c(path);
  entry.bags = static_cast<int64_t>(shard.tables.bags.size());
  entry.tiles = static_cast<int64_t>(shard.tables.tiles.size());
  entry.blob_offset = shard.blob_offset;
  entry.blob_bytes = shard.blob_bytes;
  entry.frame_crc32c = frame_crc32c(path, entry);
  return entry;
}

void check_frame(const fs::path& path, const ShardEntry& entry) {
  const std::string advice = fmt::format("run `dbps verify {}`", path.parent_path().string());
  std::error_code error;
  const uint64_t bytes = fs::file_size(path, error);
  if (error) throw DataError(fmt::format("{} is missing: {}", path.string(), advice));
  if (bytes != entry.bytes) {
    throw DataError(fmt::format("{} has {} bytes, but store.json says {}: {}", path.string(), bytes,
                                entry.bytes, advice));
  }
  if (frame_crc32c(path, entry) != entry.frame_crc32c) {
    throw DataError(
        fmt::format("{}: its tables are altered (checksum): {}", path.string(), advice));
  }
}

std::string settings_difference(const Settings& found, const Settings& wanted) {
  const json before = to_json(found), after = to_json(wanted);
  json keys = before;
  keys.update(after);
  const auto shown = [](const json& settings, const std::string& key) {
    return settings.contains(key) ? settings.at(key).dump() : "none";
  };
  std::vector<std::string> words;
  for (const auto& [key, ignored] : keys.items()) {
    if (shown(before, key) == shown(after, key)) continue;
    words.push_back(
        fmt::format("{} {} (asked for: {})", key, shown(before, key), shown(after, key)));
  }
  return join_words(words);
}

}  // namespace dbps::store

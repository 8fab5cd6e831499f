#include "store/shard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <string_view>
#include <type_traits>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "store/hdf5_attribute.h"
#include "store/hdf5_float.h"
#include "store/hdf5_table.h"
#include "store/manifest.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "dbps-store";

template <typename Row>
void add_checksum(const std::vector<Row>& rows, uint32_t& crc) {
  visit_columns(static_cast<const Row*>(nullptr), ColumnChecksum<Row>(rows, crc));
}

uint32_t checksum(const ShardTables& tables) {
  uint32_t crc = 0;
  add_checksum(tables.tiles, crc);
  add_checksum(tables.sources, crc);
  add_checksum(tables.bags, crc);
  return crc;
}

template <typename Row>
void write_table(hid_t file, const char* name, const std::vector<Row>& rows) {
  const Handle group(DBPS_HDF5(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)),
                     H5Gclose);
  visit_columns(static_cast<const Row*>(nullptr), ColumnWriter<Row>(group, rows));
}

template <typename Row>
void read_table(hid_t file, const char* name, std::vector<Row>& rows) {
  const Handle group(DBPS_HDF5(H5Gopen2(file, name, H5P_DEFAULT)), H5Gclose);
  visit_columns(static_cast<const Row*>(nullptr), ColumnReader<Row>(group, rows));
}

template <typename T>
void write_attribute(hid_t file, const char* name, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    const Handle type = text_type(value.size());
    store::write_attribute(file, name, type, type, 1, value.c_str());
  } else {
    store::write_attribute(file, name, file_type<T>(), memory_type<T>(), 1, &value);
  }
}

template <typename T>
T read_attribute(hid_t file, const char* name) {
  const Handle attribute(DBPS_HDF5(H5Aopen(file, name, H5P_DEFAULT)), H5Aclose);
  if constexpr (std::is_same_v<T, std::string>) {
    const Handle type(DBPS_HDF5(H5Aget_type(attribute)), H5Tclose);
    std::string value(H5Tget_size(type), '\0');
    DBPS_HDF5(H5Aread(attribute, type, value.data()));
    value.resize(value.find_last_not_of('\0') + 1);
    return value;
  } else {
    T value{};
    DBPS_HDF5(H5Aread(attribute, memory_type<T>(), &value));
    return value;
  }
}

void write_settings(hid_t file, const Settings& settings) {
  write_attribute<std::string>(file, "format", kFormat);
  write_attribute<int64_t>(file, "version", kFormatVersion);
  write_attribute<std::string>(file, "kind", kind_name(settings.kind));
  write_attribute<std::string>(file, "codec", codec_name(settings.codec));
  write_attribute<int64_t>(file, "quality", settings.quality);
  write_attribute<int64_t>(file, "channels", settings.channels);
  write_attribute<std::string>(file, "pixel_type", settings.pixel_type);
  write_attribute<int64_t>(file, "longest", settings.longest);
  write_attribute<int64_t>(file, "tile_size", settings.tile_size);
  write_attribute<double>(file, "mpp", settings.mpp);
  const auto put = [&](const char* name, const auto& field) { write_attribute(file, name, field); };
  const bool extracted = !settings.encoder.kind.empty();
  if (settings.kind == Kind::kTiles || extracted) visit_tile_settings(settings.tiles, put);
  if (extracted) visit_encoder_origin(settings.encoder, put);
  write_attribute<std::string>(file, "tool_version", DBPS_VERSION);
}

Settings read_settings(hid_t file) {
  if (read_attribute<std::string>(file, "format") != kFormat) {
    throw Hdf5Error("it is not a shard of a dbps store");
  }
  const int64_t version = read_attribute<int64_t>(file, "version");
  if (version != kFormatVersion) {
    throw Hdf5Error(
        fmt::format("format version {}, but this program reads {}", version, kFormatVersion));
  }
  Settings settings;
  settings.kind = kind_of(read_attribute<std::string>(file, "kind"));
  settings.codec = codec_of(read_attribute<std::string>(file, "codec"));
  settings.quality = static_cast<int>(read_attribute<int64_t>(file, "quality"));
  settings.channels = static_cast<int>(read_attribute<int64_t>(file, "channels"));
  settings.pixel_type = read_attribute<std::string>(file, "pixel_type");
  settings.longest = read_attribute<int64_t>(file, "longest");
  settings.tile_size = read_attribute<int64_t>(file, "tile_size");
  settings.mpp = read_attribute<double>(file, "mpp");
  if (settings.kind == Kind::kImages) return settings;
  const auto take_if_there = [&](const char* name, auto& field) {
    if (H5Aexists(file, name) <= 0) return;
    field = read_attribute<std::remove_reference_t<decltype(field)>>(file, name);
  };
  visit_tile_settings(settings.tiles, take_if_there);
  visit_encoder_origin(settings.encoder, take_if_there);
  return settings;
}

// The blob's name, shape and type in the file.
struct BlobForm {
  const char* name;
  std::vector<hsize_t> shape;
  Handle type;
};

BlobForm blob_form(const Settings& settings, uint64_t bytes) {
  if (settings.kind != Kind::kFeatures) {
    return {"blob", {bytes}, Handle(DBPS_HDF5(H5Tcopy(H5T_STD_U8LE)), H5Tclose)};
  }
  return {"features",
          {bytes / vector_bytes(settings), static_cast<hsize_t>(settings.channels)},
          float_type(settings.pixel_type == "float16" ? 2 : 4)};
}

// Its bytes are written past HDF5, so its place is fixed now and nothing fills it first.
uint64_t make_blob(hid_t file, const Settings& settings, uint64_t bytes) {
  const BlobForm form = blob_form(settings, bytes);
  const Handle space(
      DBPS_HDF5(H5Screate_simple(static_cast<int>(form.shape.size()), form.shape.data(), nullptr)),
      H5Sclose);
  const Handle how(DBPS_HDF5(H5Pcreate(H5P_DATASET_CREATE)), H5Pclose);
  DBPS_HDF5(H5Pset_layout(how, H5D_CONTIGUOUS));
  DBPS_HDF5(H5Pset_alloc_time(how, H5D_ALLOC_TIME_EARLY));
  DBPS_HDF5(H5Pset_fill_time(how, H5D_FILL_TIME_NEVER));
  const Handle blob(
      DBPS_HDF5(H5Dcreate2(file, form.name, form.type, space, H5P_DEFAULT, how, H5P_DEFAULT)),
      H5Dclose);
  return bytes == 0 ? 0 : H5Dget_offset(blob);
}

// Checksums on HDF5's own metadata need its format of 1.8 or later.
uint64_t make_file(const fs::path& path, const Settings& settings, const ShardTables& tables,
                   uint64_t blob_bytes) {
  const QuietErrors quiet;
  const Handle access(DBPS_HDF5(H5Pcreate(H5P_FILE_ACCESS)), H5Pclose);
  DBPS_HDF5(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST));
  DBPS_HDF5(H5Pset_file_locking(access, false, true));
  const Handle file(DBPS_HDF5(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access)),
                    H5Fclose);
  write_settings(file, settings);
  write_attribute<uint32_t>(file, "tables_crc32c", checksum(tables));
  write_table(file, "tiles", tables.tiles);
  write_table(file, "sources", tables.sources);
  write_table(file, "bags", tables.bags);
  const uint64_t offset = make_blob(file, settings, blob_bytes);
  DBPS_HDF5(H5Fflush(file, H5F_SCOPE_GLOBAL));
  return offset;
}

// Of Shard and MappedShard.
template <typename AnyShard>
void open_blob(hid_t file, AnyShard& shard) {
  BlobForm form = blob_form(shard.settings, 0);
  const Handle blob(DBPS_HDF5(H5Dopen2(file, form.name, H5P_DEFAULT)), H5Dclose);
  const Handle type(DBPS_HDF5(H5Dget_type(blob)), H5Tclose);
  const std::vector<hsize_t> shape = shape_of(blob);
  form.shape[0] = shape.at(0);
  if (shape != form.shape || DBPS_HDF5(H5Tequal(type, form.type)) == 0) {
    throw Hdf5Error(fmt::format("/{} is not of the type that the settings say", form.name));
  }
  shard.blob_bytes = H5Tget_size(type);
  for (const hsize_t length : shape) shard.blob_bytes *= length;
  if (shard.blob_bytes > 0) shard.blob_offset = H5Dget_offset(blob);
}

void check_sum(hid_t file, uint32_t found) {
  if (read_attribute<uint32_t>(file, "tables_crc32c") == found) return;
  throw Hdf5Error("its tables are altered (checksum)");
}

Handle open_shard_file(const fs::path& path) {
  const Handle access(DBPS_HDF5(H5Pcreate(H5P_FILE_ACCESS)), H5Pclose);
  DBPS_HDF5(H5Pset_file_locking(access, false, true));
  return {DBPS_HDF5(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access)), H5Fclose};
}

Shard read_file_through_hdf5(const fs::path& path) {
  const QuietErrors quiet;
  const Handle file = open_shard_file(path);
  Shard shard;
  shard.settings = read_settings(file);
  read_table(file, "tiles", shard.tables.tiles);
  read_table(file, "sources", shard.tables.sources);
  read_table(file, "bags", shard.tables.bags);
  check_sum(file, checksum(shard.tables));
  open_blob(file, shard);
  return shard;
}

MappedShard map_file(const fs::path& path) {
  const QuietErrors quiet;
  const Handle file = open_shard_file(path);
  MappedShard shard;
  shard.settings = read_settings(file);
  const Handle tiles(DBPS_HDF5(H5Gopen2(file, "tiles", H5P_DEFAULT)), H5Gclose);
  std::vector<TileColumn> columns;
  int64_t num_rows = 0;
  visit_columns(static_cast<const Tile*>(nullptr), ColumnFinder(tiles, columns, num_rows));
  shard.tiles = TileTable(path, columns, num_rows);
  read_table(file, "sources", shard.sources);
  read_table(file, "bags", shard.bags);
  uint32_t crc = 0;
  visit_columns(static_cast<const Tile*>(nullptr), MappedChecksum(shard.tiles, crc));
  add_checksum(shard.sources, crc);
  add_checksum(shard.bags, crc);
  check_sum(file, crc);
  open_blob(file, shard);
  return shard;
}

struct BlobExtent {
  uint64_t offset;
  uint64_t bytes;
};

template <typename Tiles>
void check_ranges(const Settings& settings, const Tiles& tiles, const std::vector<Source>& sources,
                  const std::vector<Bag>& bags, BlobExtent blob, uint64_t file_bytes) {
  if (blob.offset > file_bytes || blob.bytes > file_bytes - blob.offset) {
    throw Hdf5Error("its blob reaches past the end of the file");
  }
  const bool vectors = settings.kind == Kind::kFeatures;
  const uint64_t width = vectors ? vector_bytes(settings) : 0;
  const auto num_tiles = static_cast<int64_t>(tiles.size());
  for (int64_t i = 0; i < num_tiles; ++i) {
    const Tile tile = tiles[i];
    if (tile.offset > blob.bytes || tile.bytes > blob.bytes - tile.offset ||
        tile.source >= sources.size()) {
      throw Hdf5Error("a tile lies outside the blob");
    }
    if (vectors && tile.bytes != width) throw Hdf5Error("a tile is not one vector");
  }
  for (const Bag& bag : bags) {
    if (bag.first_tile < 0 || bag.tile_count < 0 || bag.first_tile > num_tiles ||
        bag.tile_count > num_tiles - bag.first_tile || bag.source >= sources.size()) {
      throw Hdf5Error(fmt::format("the bag '{}' names tiles that are not there", bag.id));
    }
  }
}

// What `open` throws of a file that cannot be read, with what to do.
template <typename Open>
auto opened(const fs::path& path, const Open& open) {
  try {
    open_for_reading(path);
    return open();
  } catch (const Hdf5Error& error) {
    throw DataError(fmt::format("{} cannot be read ({}): run `dbps verify {}`", path.string(),
                                error.what(), path.parent_path().string()));
  }
}

}  // namespace

Shard read_shard(const fs::path& path) {
  return opened(path, [&] {
    Shard shard = read_file_through_hdf5(path);
    const auto& [tiles, sources, bags] = shard.tables;
    check_ranges(shard.settings, tiles, sources, bags, {shard.blob_offset, shard.blob_bytes},
                 fs::file_size(path));
    return shard;
  });
}

MappedShard map_shard(const fs::path& path) {
  return opened(path, [&] {
    MappedShard shard = map_file(path);
    check_ranges(shard.settings, shard.tiles, shard.sources, shard.bags,
                 {shard.blob_offset, shard.blob_bytes}, fs::file_size(path));
    shard.tiles.forget();
    return shard;
  });
}

void write_shard(const fs::path& path, const Settings& settings, const ShardTables& tables,
                 uint64_t blob_bytes, const std::function<void(int, uint64_t)>& fill) {
  uint64_t offset = 0;
  try {
    offset = make_file(path, settings, tables, blob_bytes);
  } catch (const Hdf5Error& error) {
    throw RuntimeFault(fmt::format("cannot write {} ({})", path.string(), error.what()));
  }
  const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) throw RuntimeFault(errno_message(fmt::format("cannot open {}", path.string())));
  fill(file.get(), offset);
  if (::fsync(file.get()) != 0) {
    throw RuntimeFault(errno_message(fmt::format("cannot sync {}", path.string())));
  }
}

std::string shard_file_name(int64_t number) { return fmt::format("shard-{:05}.h5", number); }

int64_t shard_number(const fs::path& path) {
  const std::string stem = path.stem().string();
  int64_t number = -1;
  constexpr std::string_view kPrefix = "shard-";
  if (!stem.starts_with(kPrefix)) return -1;
  const auto [end, error] =
      std::from_chars(stem.data() + kPrefix.size(), stem.data() + stem.size(), number);
  return error == std::errc() && end == stem.data() + stem.size() ? number : -1;
}

}  // namespace dbps::store

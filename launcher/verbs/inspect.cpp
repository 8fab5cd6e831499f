#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"
#include "base/text.h"
#include "data/slide_picture.h"
#include "image/codec.h"
#include "ingest/labels.h"
#include "launcher/verbs/verbs.h"
#include "store/reader.h"

namespace dbps::launcher {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kHelp = R"(Says what is in a store: bags, sizes, codec, classes and splits.

With --bag ID it tells of one bag: its size, where it came from, its labels; --picture FILE also writes
it, upright, as PNG or JPEG; of a slide the tiles that were kept, made small.

Examples:
  dbps inspect store/
  dbps inspect store/ --bag train/cat/007 --picture 007.png)";

struct Arguments {
  std::string store;
  std::string bag;
  std::string picture;
};

// Of labels.csv the rows of bags that are in the store, and how many other rows it has.
struct Labels {
  CsvTable table;
  std::vector<std::string> ids;  // of its rows
  int64_t without_bag = 0;
};

Labels read_labels(const store::Reader& reader) {
  Labels labels;
  const fs::path path = ingest::labels_path(reader.folder());
  if (!fs::exists(path)) return labels;
  labels.table = read_csv(path);
  std::vector<CsvRow> all = std::move(labels.table.rows);
  labels.table.rows.clear();
  const auto key = labels.table.find_any({"id", "slide_id", "path"});
  for (CsvRow& row : all) {
    const std::string name = key ? trim(row.fields[*key]) : "";
    const std::string id = reader.find_bag(name) >= 0 ? name : without_extension(name);
    if (reader.find_bag(id) < 0) {
      ++labels.without_bag;
      continue;
    }
    labels.ids.push_back(id);
    labels.table.rows.push_back(std::move(row));
  }
  return labels;
}

bool is_id(const std::string& column) {
  return column == "id" || column == "slide_id" || column == "path";
}

// {column: {class: bags}}; {} without the file. Patients, and a column with many different values,
// are no classes, and only counted.
json describe_labels(const CsvTable& table) {
  json columns = json::object();
  constexpr size_t kMostClasses = 50;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    const std::string& name = table.columns[c];
    if (name.empty() || is_id(name)) continue;
    std::map<std::string, int64_t> count;
    for (const CsvRow& row : table.rows) {
      if (!trim(row.fields[c]).empty()) ++count[trim(row.fields[c])];
    }
    const bool names_classes =
        count.size() <= kMostClasses && name != "patient" && name != "case_id";
    columns[name] = names_classes ? json(count) : json(count.size());
  }
  return columns;
}

// Least, median and greatest; null of none.
json spread(std::vector<int64_t> values) {
  if (values.empty()) return nullptr;
  std::sort(values.begin(), values.end());
  return {{"min", values.front()}, {"median", values[values.size() / 2]}, {"max", values.back()}};
}

bool holds_tiles(const store::Reader& reader) {
  return reader.settings().kind == store::Kind::kTiles;
}

bool holds_vectors(const store::Reader& reader) {
  return reader.settings().kind == store::Kind::kFeatures;
}

json describe_store(const store::Reader& reader) {
  std::vector<int64_t> widths, heights, counts;
  int64_t bytes = 0;
  int64_t tiles = 0;
  for (int64_t i = 0; i < reader.num_bags(); ++i) {
    const store::Bag& bag = reader.bag(i);
    widths.push_back(bag.width);
    heights.push_back(bag.height);
    counts.push_back(bag.tile_count);
    tiles += bag.tile_count;
    bytes += reader.stored_bytes(i);
  }
  const store::Settings& settings = reader.settings();
  const Labels labels = read_labels(reader);
  json result = {{"store", reader.folder().string()},
                 {"kind", store::kind_name(settings.kind)},
                 {"codec", store::codec_name(settings.codec)},
                 {"channels", settings.channels},
                 {"shards", reader.num_shards()},
                 {"bags", reader.num_bags()},
                 {"tiles", tiles},
                 {"bytes", bytes},
                 {"fingerprint", reader.fingerprint()},
                 {"labels", describe_labels(labels.table)},
                 {"rows_without_bag", labels.without_bag}};
  if (holds_vectors(reader)) {
    result["vectors"] = spread(counts);
    result["width"] = settings.channels;
    result["type"] = settings.pixel_type;
    const store::EncoderOrigin& origin = settings.encoder;
    if (!origin.kind.empty()) {
      result["encoder"] = {{"kind", origin.kind},           {"weights", origin.weights},
                           {"hash", origin.hash},           {"stages", origin.stages},
                           {"projector", origin.projector}, {"precision", origin.precision},
                           {"input", origin.input},         {"text", store::origin_text(origin)}};
      result["tile_size"] = settings.tile_size;
      result["mpp"] = settings.mpp;
    }
  } else {
    result["width"] = spread(widths);
    result["height"] = spread(heights);
  }
  if (holds_tiles(reader)) {
    result["tiles_a_bag"] = spread(counts);
    result["tile_size"] = settings.tile_size;
    result["overlap"] = settings.tiles.overlap;
    result["mpp"] = settings.mpp;
  }
  if (settings.codec == store::Codec::kJpeg) result["quality"] = settings.quality;
  if (settings.longest > 0) result["longest"] = settings.longest;
  return result;
}

void print_content(const json& store) {
  const std::string name = store["store"].get<std::string>();
  const std::string bytes = format_bytes(store["bytes"].get<double>());
  if (store.contains("vectors")) {
    fmt::print("{}: {} of features, {} in {}, {} x {}\n", name,
               counted(store["bags"].get<int64_t>(), "bag"), bytes,
               counted(store["shards"].get<int64_t>(), "shard"), store["width"].dump(),
               store["type"].get<std::string>());
    if (store.contains("encoder")) {
      fmt::print("made by {}; {}\n", store["encoder"]["text"].get<std::string>(),
                 store["encoder"]["input"].get<std::string>());
      const double mpp = store["mpp"].get<double>();
      fmt::print("of patches of {} pixels{}\n", store["tile_size"].dump(),
                 mpp > 0 ? fmt::format(" at {:g} microns a pixel", mpp) : "");
    }
    if (store["vectors"].is_null()) return;
    fmt::print("vectors {} to {} a bag, median {}\n", store["vectors"]["min"].dump(),
               store["vectors"]["max"].dump(), store["vectors"]["median"].dump());
    return;
  }
  fmt::print("{}: {} of {}, {} in {}, codec {}\n", name,
             counted(store["bags"].get<int64_t>(), "bag"), store["kind"].get<std::string>(), bytes,
             counted(store["shards"].get<int64_t>(), "shard"), store["codec"].get<std::string>());
  if (store.contains("tile_size") && !store["tiles_a_bag"].is_null()) {
    const json& tiles = store["tiles_a_bag"];
    const double mpp = store["mpp"].get<double>();
    fmt::print("tiles   {} of {} x {} pixels{}: {} to {} a bag, median {}\n", store["tiles"].dump(),
               store["tile_size"].dump(), store["tile_size"].dump(),
               mpp > 0 ? fmt::format(" at {:g} microns a pixel", mpp) : "", tiles["min"].dump(),
               tiles["max"].dump(), tiles["median"].dump());
  }
  for (const char* side : {"width", "height"}) {
    if (store[side].is_null()) continue;
    fmt::print("{:7} {} to {} pixels, median {}\n", side, store[side]["min"].dump(),
               store[side]["max"].dump(), store[side]["median"].dump());
  }
}

void print_store(const json& store) {
  print_content(store);
  for (const auto& [column, values] : store["labels"].items()) {
    if (values.is_number()) {
      fmt::print("{}: {} different values\n", column, values.dump());
      continue;
    }
    fmt::print("{}:{}\n", column, values.empty() ? " empty" : "");
    for (const auto& [value, count] : values.items()) {
      fmt::print("  {:20} {:8}\n", value, count.get<int64_t>());
    }
  }
  if (const auto rows = store["rows_without_bag"].get<int64_t>(); rows > 0) {
    fmt::print("labels.csv: {} without a bag\n", counted(rows, "row"));
  }
  fmt::print("fingerprint {}\n", store["fingerprint"].get<std::string>());
}

json labels_of(const store::Reader& reader, const std::string& id) {
  const Labels labels = read_labels(reader);
  json values = json::object();
  for (size_t i = 0; i < labels.ids.size(); ++i) {
    if (labels.ids[i] != id) continue;
    for (size_t c = 0; c < labels.table.columns.size(); ++c) {
      const std::string& column = labels.table.columns[c];
      if (!is_id(column)) values[column] = trim(labels.table.rows[i].fields[c]);
    }
  }
  return values;
}

int64_t find_bag(const store::Reader& reader, const std::string& id) {
  const int64_t index = reader.find_bag(id);
  if (index >= 0) return index;
  std::vector<std::string> ids;
  for (int64_t i = 0; i < reader.num_bags(); ++i) ids.push_back(reader.bag(i).id);
  const std::string near = nearest(id, ids);
  throw ConfigError(fmt::format("--bag: {} has no bag '{}'{}", reader.folder().string(), id,
                                near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
}

json describe_bag(const store::Reader& reader, int64_t index) {
  const store::Bag& bag = reader.bag(index);
  const store::Source& source = reader.source(index);
  uint64_t bytes = 0;
  for (int64_t t = 0; t < bag.tile_count; ++t) bytes += reader.read(index, t).size();
  json result = {
      {"id", bag.id},
      {"width", bag.width},
      {"height", bag.height},
      {"tiles", bag.tile_count},
      {"bytes", bytes},
      {"shard", reader.shard_name(index)},
      {"source", {{"path", source.path}, {"bytes", source.bytes}, {"hash", source.hash}}},
      {"labels", labels_of(reader, bag.id)}};
  if (holds_vectors(reader)) {
    result["width"] = reader.settings().channels;
    result["type"] = reader.settings().pixel_type;
    result.erase("height");
  }
  if (holds_tiles(reader)) {
    result["level"] = bag.level;
    result["downsample"] = bag.downsample;
    result["mpp"] = bag.mpp;
    result["copied"] = !source.photometric.empty();
  }
  return result;
}

void print_bag(const json& bag) {
  const std::string size =
      bag.contains("type")
          ? fmt::format("{} vectors of {} {}", bag["tiles"].dump(), bag["width"].dump(),
                        bag["type"].get<std::string>())
          : fmt::format("{} x {} pixels", bag["width"].dump(), bag["height"].dump());
  fmt::print("{}: {}, {} in {}\n", bag["id"].get<std::string>(), size,
             format_bytes(bag["bytes"].get<double>()), bag["shard"].get<std::string>());
  if (bag.contains("mpp")) {
    const double mpp = bag["mpp"].get<double>();
    fmt::print("{} tiles from level {}, {}, {}\n", bag["tiles"].dump(), bag["level"].dump(),
               mpp > 0 ? fmt::format("{:.4g} microns a pixel", mpp) : "of unknown scale",
               bag["copied"].get<bool>() ? "copied as they are" : "encoded anew");
  }
  fmt::print("made from {} ({}, {})\n", bag["source"]["path"].get<std::string>(),
             format_bytes(bag["source"]["bytes"].get<double>()),
             bag["source"]["hash"].get<std::string>());
  for (const auto& [column, value] : bag["labels"].items()) {
    fmt::print("{}: {}\n", column, value.get<std::string>());
  }
}

void write_picture(const store::Reader& reader, int64_t index, const fs::path& file) {
  const std::string extension = file.extension().string();
  if (extension != ".png" && extension != ".jpg" && extension != ".jpeg") {
    throw ConfigError(
        fmt::format("--picture {}: the name must end in .png or .jpg", file.string()));
  }
  if (holds_vectors(reader)) throw ConfigError("--picture: vectors have no picture");
  const image::Image picture = holds_tiles(reader)
                                   ? data::lay_out_tiles({reader, index}, available_cores())
                                   : image::decode(reader.read(index), reader.bag(index).id);
  write_file_atomic(file,
                    extension == ".png" ? image::encode_png(picture) : image::encode_jpeg(picture));
}

void run(const Arguments& arguments, const Context& context) {
  if (!arguments.picture.empty() && arguments.bag.empty()) {
    throw ConfigError("--picture needs --bag ID, which names what to draw");
  }
  const store::Reader reader(arguments.store);
  json result;
  if (arguments.bag.empty()) {
    result = describe_store(reader);
  } else {
    const int64_t index = find_bag(reader, arguments.bag);
    result = describe_bag(reader, index);
    if (!arguments.picture.empty()) write_picture(reader, index, arguments.picture);
  }
  if (context.json) {
    fmt::print("{}\n", result.dump());
  } else if (arguments.bag.empty()) {
    print_store(result);
  } else {
    print_bag(result);
  }
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  app.footer(kHelp);
  app.add_option("STORE", arguments->store, "The store's folder")->required();
  app.add_option("--bag", arguments->bag, "Tell of this bag only");
  app.add_option("--picture", arguments->picture, "Write the bag's picture to this file");
  app.callback([arguments, &context] { run(*arguments, context); });
}

}  // namespace dbps::launcher

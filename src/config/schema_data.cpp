// The tables [experiment], [data], [augment] and [drop].
#include "config/schema_table.h"

namespace dbps::config {
namespace {

constexpr IntegerRange kPixels = {.low = 0, .high = 1'000'000};  // of a side

using data::AugmentOptions;
using data::DataOptions;
using training::ExperimentOptions;

constexpr auto kFixed = Resume::kFixed;
constexpr auto kFree = Resume::kFree;

Value automatic(int64_t number) { return Value{number, "", false}; }

// One folder, or a list of them.
void bind_store(Key& key) {
  key.is_path = true;
  key.get = [](const Config& config, size_t) {
    const std::vector<std::string>& stores = config.data.store;
    if (stores.size() == 1) return Value{stores[0], "", false};
    Value::List list;
    for (const std::string& store : stores) list.push_back(Value{store, "", false});
    return Value{list, "", false};
  };
  key.set = [allowed = key.allowed](Config& config, size_t, const Value& value) -> std::string {
    std::vector<std::string> stores;
    if (const auto* list = std::get_if<Value::List>(&value.data)) {
      for (const Value& entry : *list) stores.push_back(as_text(entry).value_or(""));
    } else {
      stores.push_back(as_text(value).value_or(""));
    }
    for (const std::string& store : stores) {
      if (store.empty()) return must_be(allowed);
    }
    config.data.store = stores;
    return "";
  };
}

void bind_channels(Key& key, std::vector<double> DataOptions::*field, RealRange range) {
  key.automatic = Value{Value::List(), "", false};
  key.get = [field](const Config& config, size_t) {
    Value::List list;
    for (const double number : config.data.*field) list.push_back(Value{number, "", false});
    return Value{list, "", false};
  };
  key.set = [field, range, allowed = key.allowed](Config& config, size_t,
                                                  const Value& value) -> std::string {
    const auto* list = std::get_if<Value::List>(&value.data);
    if (!list || list->size() > 4) return must_be(allowed);
    std::vector<double> numbers;
    for (const Value& entry : *list) {
      const std::optional<double> number = as_real(entry);
      if (!number || !range.holds(*number)) return must_be(allowed);
      numbers.push_back(*number);
    }
    config.data.*field = numbers;
    return "";
  };
}

void bind_ratio(Key& key) {
  key.get = [](const Config& config, size_t) {
    // Written as a number; the text itself is the value.
    return Value{std::monostate(), config.drop.ratio, false};
  };
  key.set = [allowed = key.allowed](Config& config, size_t, const Value& value) -> std::string {
    const bool number = as_real(value).has_value();
    const std::optional<std::string> ratio = plain_fraction(value.written);
    if (!number || !ratio) return must_be(allowed);
    config.drop.ratio = *ratio;
    return "";
  };
}

void add_picture_keys(Table<Section<&Config::data>>& t) {
  t.integer("height", &DataOptions::height, kPixels, kFixed,
            "pixels after resizing, for resize = \"exact\"; tiles have their own size");
  t.integer("width", &DataOptions::width, kPixels, kFixed,
            "pixels after resizing; for \"longest\" the longest side is the larger of the two");
  t.choice<data::Resize>("resize", &DataOptions::resize,
                         {{"exact", data::Resize::kExact},
                          {"longest", data::Resize::kLongest},
                          {"scale", data::Resize::kScale},
                          {"none", data::Resize::kNone}},
                         {}, kFixed, "how a picture gets its size");
  t.real("scale", &DataOptions::scale, {.low = 0, .high = 100, .above_low = true}, kFixed,
         "factor for resize = \"scale\"");
  t.integer("patch_size", &DataOptions::patch_size, kPixels, kFixed,
            "pixels; 0 with selection.method = \"whole\", and of tiles, which have their size");
  t.integer("patch_stride", &DataOptions::patch_stride, kPixels, kFixed, "pixels; 0: patch_size")
      .automatic = automatic(0);
  t.choice<data::Edge>(
      "edge", &DataOptions::edge,
      {{"drop", data::Edge::kDrop}, {"pad", data::Edge::kPad}, {"shift", data::Edge::kShift}}, {},
      kFixed,
      "patches that do not fit at the right and lower edge: left out, padded with black, or moved "
      "inwards");
  bind_channels(t.custom("mean", "a list of at most 4 numbers from 0 to 1", kFixed,
                         "a channel, of pixels in 0..1; empty: the encoder's"),
                &DataOptions::mean, {.low = 0, .high = 1});
  bind_channels(t.custom("std", "a list of at most 4 numbers above 0", kFixed,
                         "a channel; empty: the encoder's"),
                &DataOptions::std, {.low = 0, .above_low = true});
}

void add_placement_keys(Table<Section<&Config::data>>& t) {
  t.choice<data::StorePlacement>(
      "placement", &DataOptions::placement,
      {{"shared", data::StorePlacement::kShared}, {"staged", data::StorePlacement::kStaged}}, {},
      kFree,
      "read the store where it lies, or let each node copy its share to stage_dir and read that");
  t.text("stage_dir", &DataOptions::stage_dir, kFree,
         "of placement = \"staged\": a folder on each node's own disk");
  t.integer(
       "stage_homes", &DataOptions::stage_homes, {.high = 4096}, kFixed,
       "parts of the store, of equal size, that lie on nodes of their own; each batch takes as "
       "many pictures from each; 0: one a node when staged (or the nodes of a patch group), else "
       "one")
      .automatic = automatic(0);
}

}  // namespace

void add_run_keys(std::vector<Key>& keys) {
  Table<Section<&Config::experiment>> t("experiment", keys);
  t.text("name", &ExperimentOptions::name, kFree,
         "the run's folder below output; may hold {seed}, {fold} and {job}");
  t.integer("seed", &ExperimentOptions::seed, {}, kFixed, "of everything that is drawn");
  t.text("output", &ExperimentOptions::output, kFree, "the folder that holds the runs' folders");
}

void add_data_keys(std::vector<Key>& keys) {
  Table<Section<&Config::data>> t("data", keys);
  bind_store(t.custom(
      "store", "a folder or a list of folders", kFree,
      "one or several stores; a resumed run checks their fingerprint, not where they lie"));
  t.path("labels", &DataOptions::labels, kFixed, "a CSV; \"\": the store's labels.csv");
  t.planned(
      "bag", Value{"id", "", false},
      "what one label belongs to: a picture (\"id\") or all pictures of a patient (\"patient\")");
  t.path("split", &DataOptions::split, kFixed,
         "a CSV with id and split, or CLAM's; \"\": the labels' column, else fraction_validation");
  t.integer("fold", &DataOptions::fold, {}, kFixed, "which fold of a k-fold split validates");
  t.real("fraction_validation", &DataOptions::fraction_validation,
         {.low = 0, .high = 1, .below_high = true}, kFixed,
         "of the training pictures, when nothing else names a validation split");
  t.integer("split_seed", &DataOptions::split_seed, {}, kFixed,
            "of that fraction; stratified, whole patients");
  add_picture_keys(t);
  t.flag("shuffle", &DataOptions::shuffle, kFixed, "the order of pictures, anew each epoch");
  t.choice<data::Sampling>(
      "sampling", &DataOptions::sampling,
      {{"natural", data::Sampling::kNatural}, {"balanced", data::Sampling::kBalanced}}, {}, kFixed,
      "each picture once, or classes equally often");
  t.integer("decode_threads", &DataOptions::decode_threads, {.high = 1024}, kFree,
            "a rank; 0: as many as fit the host")
      .automatic = automatic(0);
  t.integer("prefetch_batches", &DataOptions::prefetch_batches, {.low = 1, .high = 1024}, kFree,
            "batches read ahead");
  t.integer("host_bytes", &DataOptions::host_bytes, {}, kFree,
            "decoded pictures in flight; 0: a quarter of memory / ranks on the host")
      .automatic = automatic(0);
  t.integer("device_bytes", &DataOptions::device_bytes, {}, kFree,
            "pixels of a batch on the device; above it they come a scan step at a time; 0: by the "
            "device's memory")
      .automatic = automatic(0);
  t.real("picture_pixels", &DataOptions::picture_pixels, {.low = 1}, kFree,
         "larger pictures are refused");
  t.flag("fast_decode", &DataOptions::fast_decode, kFixed,
         "a JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that is still half as large again "
         "as what resizing makes of it");
  add_placement_keys(t);

  Table<Section<&Config::augment>> a("augment", keys);
  const RealRange jitter{.low = 0, .high = 1};
  a.real("brightness", &AugmentOptions::brightness, jitter, kFixed,
         "factor in 1 - x .. 1 + x; training only, as all of this table");
  a.real("contrast", &AugmentOptions::contrast, jitter, kFixed,
         "factor in 1 - x .. 1 + x, about the picture's mean grey");
  a.real("saturation", &AugmentOptions::saturation, jitter, kFixed, "factor in 1 - x .. 1 + x");
  a.real("hue", &AugmentOptions::hue, {.low = 0, .high = 0.5}, kFixed,
         "shift in -x .. x of the colour circle");
  a.choice<data::JitterPer>("jitter_per", &AugmentOptions::jitter_per,
                            {{"bag", data::JitterPer::kBag}, {"patch", data::JitterPer::kPatch}},
                            {}, kFixed, "one jitter a picture or one a patch");
  a.integer("translate", &AugmentOptions::translate, {.high = 1'000'000}, kFixed,
            "pixels an axis at most, black outside; whole pictures only");
  a.choice<data::Flip>("flip", &AugmentOptions::flip,
                       {{"none", data::Flip::kNone},
                        {"horizontal", data::Flip::kHorizontal},
                        {"both", data::Flip::kBoth}},
                       {}, kFixed, "mirrored with probability 1/2 an axis");
  a.flag("rotate90", &AugmentOptions::rotate90, kFixed, "turned by a multiple of 90 degrees");
  a.choice<data::Erase>("erase", &AugmentOptions::erase,
                        {{"none", data::Erase::kNone},
                         {"random", data::Erase::kRandom},
                         {"patches", data::Erase::kPatches}},
                        {}, kFixed,
                        "what drop.erase_ratio sets to zero, in place of dropping patches: one "
                        "rectangle of a picture, or random patches");

  Table<Section<&Config::drop>> d("drop", keys);
  bind_ratio(d.custom("ratio", "a decimal number from 0 to below 1", kFixed,
                      "r: share of a bag's patches beyond M that training drops"));
  d.real("erase_ratio", &data::DropOptions::erase_ratio, {.low = 0, .high = 1, .below_high = true},
         kFixed, "share of a picture, or of its patches, that augment.erase sets to zero");
}

}  // namespace dbps::config

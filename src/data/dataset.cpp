#include "data/dataset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "data/homes.h"
#include "data/labels.h"
#include "data/split.h"

namespace dbps::data {
namespace {

namespace fs = std::filesystem;
using Stores = std::vector<std::unique_ptr<store::Reader>>;

std::string content_of(const store::Settings& settings) {
  switch (settings.kind) {
    case store::Kind::kImages:
      break;
    case store::Kind::kTiles:
      return fmt::format("tiles of {} pixels", settings.tile_size);
    case store::Kind::kFeatures:
      return fmt::format("features of width {}", settings.channels);
  }
  return store::kind_name(settings.kind);
}

Stores open_stores(const std::vector<std::string>& folders) {
  if (folders.empty()) throw ConfigError("data.store is not set: it names the folder of a store");
  Stores stores;
  for (const std::string& folder : folders) {
    stores.push_back(std::make_unique<store::Reader>(folder));
    const std::string content = content_of(stores.back()->settings());
    const std::string first = content_of(stores.front()->settings());
    if (content != first) {
      throw ConfigError(fmt::format("data.store: {} holds {}, but {} holds {}", folders.front(),
                                    first, folder, content));
    }
  }
  return stores;
}

// Every picture of the stores, not yet labelled, in id order.
std::vector<Picture> list_pictures(const Stores& stores) {
  std::vector<Picture> pictures;
  for (size_t s = 0; s < stores.size(); ++s) {
    for (int64_t b = 0; b < stores[s]->num_bags(); ++b) {
      if (stores[s]->is_later_part(b)) continue;
      Picture picture;
      picture.id = stores[s]->bag(b).id;
      picture.store = static_cast<int64_t>(s);
      picture.bag = b;
      picture.sample = stable_hash(picture.id.data(), picture.id.size());
      pictures.push_back(std::move(picture));
    }
  }
  std::sort(pictures.begin(), pictures.end(),
            [](const Picture& a, const Picture& b) { return a.id < b.id; });
  const auto twice =
      std::adjacent_find(pictures.begin(), pictures.end(),
                         [](const Picture& a, const Picture& b) { return a.id == b.id; });
  if (twice != pictures.end()) {
    throw DataError(fmt::format("the picture '{}' lies twice in data.store: in {} and in {}",
                                twice->id, stores[twice->store]->folder().string(),
                                stores[(twice + 1)->store]->folder().string()));
  }
  return pictures;
}

int64_t bytes_of(const WholeBag& bag) {
  int64_t bytes = 0;
  for (const int64_t part : bag.parts()) {
    bytes += bag.store().stored_bytes(part);
  }
  return bytes;
}

// By what the stores hold, not by labels or splits: every run over them has the same homes.
void give_homes(const Stores& stores, int64_t homes, std::vector<Picture>& pictures) {
  std::vector<int64_t> bytes;
  for (const Picture& picture : pictures) {
    bytes.push_back(bytes_of(WholeBag(*stores[picture.store], picture.bag)));
  }
  const std::vector<int64_t> home_of = deal_homes(bytes, homes);
  for (size_t i = 0; i < pictures.size(); ++i) pictures[i].home = home_of[i];
}

// Of each picture, its row of a labels CSV, if it has one.
class LabelJoin {
 public:
  LabelJoin(const std::vector<Picture>& pictures, const std::vector<TaskColumn>& tasks)
      : pictures_(pictures), tasks_(tasks), row_of_(pictures.size()) {}

  // Joins a file with the pictures of one store, or of all (-1).
  void add(const fs::path& file, int64_t store) {
    PictureIds ids;
    for (size_t i = 0; i < pictures_.size(); ++i) {
      if (store < 0 || pictures_[i].store == store) {
        ids.add(pictures_[i].id, static_cast<int64_t>(i));
      }
    }
    files_.push_back(file.string());
    for (LabelRow& row : read_labels(file, tasks_)) {
      if (example_.empty()) example_ = fmt::format("{} has '{}'", row.where, row.id);
      const int64_t picture = ids.find(row.id);
      if (picture < 0) {
        ++without_picture_;
        continue;
      }
      std::optional<LabelRow>& joined = row_of_[picture];
      if (joined) {
        throw DataError(fmt::format("{}: '{}' is the picture '{}', which {} labels already",
                                    row.where, row.id, pictures_[picture].id, joined->where));
      }
      joined = std::move(row);
      ++matched_;
    }
  }

  void check_matched() const {
    if (matched_ > 0) return;
    if (example_.empty()) throw DataError(fmt::format("{} has no rows", join_words(files_)));
    throw DataError(
        fmt::format("no label belongs to a picture of the store: {}, the store has {}", example_,
                    pictures_.empty() ? "no pictures" : fmt::format("'{}'", pictures_.front().id)));
  }

  const std::optional<LabelRow>& row_of(size_t picture) const { return row_of_[picture]; }
  int64_t without_picture() const { return without_picture_; }

 private:
  const std::vector<Picture>& pictures_;
  const std::vector<TaskColumn>& tasks_;
  std::vector<std::optional<LabelRow>> row_of_;
  std::vector<std::string> files_;
  std::string example_;
  int64_t without_picture_ = 0;
  int64_t matched_ = 0;
};

void fill_classes(const LabelJoin& join, size_t num_pictures, std::vector<TaskColumn>& tasks) {
  for (size_t t = 0; t < tasks.size(); ++t) {
    std::vector<std::string> values;
    for (size_t i = 0; i < num_pictures; ++i) {
      if (const auto& row = join.row_of(i)) values.push_back(row->values[t]);
    }
    find_classes(tasks[t], values);
  }
}

bool is_labelled(const Picture& picture) {
  return std::any_of(picture.labels.begin(), picture.labels.end(),
                     [](const Label& label) { return !label.empty(); });
}

// Labels, patients and the labels' own splits into the pictures; those without a label are left
// out.
std::vector<Picture> labelled_pictures(const LabelJoin& join, const std::vector<TaskColumn>& tasks,
                                       std::vector<Picture> pictures, bool use_split) {
  std::vector<Picture> labelled;
  for (size_t i = 0; i < pictures.size(); ++i) {
    const std::optional<LabelRow>& row = join.row_of(i);
    if (!row) continue;
    Picture& picture = pictures[i];
    picture.patient = row->patient;
    if (use_split && !row->split.empty()) picture.split = parse_split(row->split, row->where);
    for (size_t t = 0; t < tasks.size(); ++t) {
      picture.labels.push_back(parse_label(tasks[t], row->values[t], row->where));
    }
    if (is_labelled(picture)) labelled.push_back(std::move(picture));
  }
  return labelled;
}

// `named` says which pictures data.split names; the others are left out.
std::vector<Picture> only_named(std::vector<Picture> pictures, const std::vector<bool>& named) {
  std::vector<Picture> kept;
  for (size_t i = 0; i < pictures.size(); ++i) {
    if (named[i]) kept.push_back(std::move(pictures[i]));
  }
  return kept;
}

bool has_split(const std::vector<Picture>& pictures, Split split) {
  return std::any_of(pictures.begin(), pictures.end(),
                     [split](const Picture& picture) { return picture.split == split; });
}

}  // namespace

Dataset::Dataset(const DataOptions& options, std::vector<TaskColumn> tasks)
    : stores_(open_stores(options.store)),
      tasks_(std::move(tasks)),
      num_homes_(std::max<int64_t>(1, options.stage_homes)) {
  if (tasks_.empty()) throw ConfigError("no [[task]] says what is to be learnt");
  for (TaskColumn& task : tasks_) {
    if (task.column.empty()) task.column = task.name;
  }
  std::vector<Picture> all = list_pictures(stores_);
  if (num_homes_ > 1) give_homes(stores_, num_homes_, all);
  const size_t num_stored = all.size();
  LabelJoin join(all, tasks_);
  if (!options.labels.empty()) {
    join.add(options.labels, -1);
  } else {
    for (size_t s = 0; s < stores_.size(); ++s) {
      const fs::path file = stores_[s]->folder() / "labels.csv";
      if (!fs::exists(file)) {
        throw ConfigError(fmt::format("data.labels is not set and there is no {}", file.string()));
      }
      join.add(file, static_cast<int64_t>(s));
    }
  }
  join.check_matched();
  fill_classes(join, num_stored, tasks_);
  pictures_ = labelled_pictures(join, tasks_, all, options.split.empty());
  const size_t num_labelled = pictures_.size();
  if (join.without_picture() > 0 || num_labelled < num_stored) {
    log::warning("left out: {} without a label, {} without a picture",
                 counted(static_cast<int64_t>(num_stored - num_labelled), "picture"),
                 counted(join.without_picture(), "label"));
  }

  if (!options.split.empty()) {
    const std::vector<bool> named = read_splits(options.split, options.fold, pictures_);
    pictures_ = only_named(std::move(pictures_), named);
    if (pictures_.size() < num_labelled) {
      log::warning(
          "left out: {} that {} does not name",
          counted(static_cast<int64_t>(num_labelled - pictures_.size()), "labelled picture"),
          options.split);
    }
  }
  warn_of_divided_patients(pictures_, !options.split.empty()    ? options.split
                                      : !options.labels.empty() ? options.labels
                                                                : "the store's labels.csv");
  if (!has_split(pictures_, Split::kValidation) && options.fraction_validation > 0) {
    draw_validation(options.fraction_validation, options.split_seed, pictures_);
  }
  if (!has_split(pictures_, Split::kTrain)) {
    throw DataError(
        fmt::format("no training pictures: {} with a label, but {} puts none in the split train",
                    counted(static_cast<int64_t>(num_labelled), "picture"),
                    options.split.empty() ? "the labels CSV" : options.split));
  }
  for (size_t i = 0; i < pictures_.size(); ++i) {
    of_split_[static_cast<int>(pictures_[i].split)].push_back(static_cast<int64_t>(i));
  }
}

const std::vector<int64_t>& Dataset::of_split(Split split) const {
  return of_split_[static_cast<int>(split)];
}

void Dataset::forget_tables() const {
  for (const auto& store : stores_) store->forget_tables();
}

WholeBag Dataset::whole_bag(int64_t picture) const {
  const Picture& entry = pictures_[picture];
  return WholeBag(store(entry.store), entry.bag);
}

int64_t Dataset::stored_bytes(int64_t picture) const { return bytes_of(whole_bag(picture)); }

void Dataset::read_from(int64_t store, const fs::path& folder,
                        const std::vector<store::TileRange>& ranges) {
  stores_[store]->read_from(folder, ranges);
}

bool Dataset::reads_copy(int64_t picture) const {
  return store(pictures_[picture].store).reads_copy(pictures_[picture].bag);
}

int64_t Dataset::tile_size() const {
  return kind() == store::Kind::kTiles ? stores_.front()->settings().tile_size : 0;
}

int64_t Dataset::feature_width() const {
  return kind() == store::Kind::kFeatures ? stores_.front()->settings().channels : 0;
}

std::string Dataset::fingerprint() const {
  std::vector<std::string> parts;
  for (const auto& store : stores_) parts.push_back(store->fingerprint());
  return fmt::format("{}", fmt::join(parts, "+"));
}

std::string Dataset::labels_hash() const {
  std::string text;
  for (const TaskColumn& task : tasks_) {
    text += fmt::format("{}\n{}\n{}\n", task.name, task.kind, fmt::join(task.classes, "\n"));
  }
  for (const Picture& picture : pictures_) {
    text += fmt::format("{}\n{}\n{}\n", picture.id, picture.patient, split_name(picture.split));
    for (const Label& label : picture.labels) text += fmt::format("{}\n", fmt::join(label, ","));
  }
  return fmt::format("{:016x}", stable_hash(text.data(), text.size()));
}

}  // namespace dbps::data

// Which pictures there are, what they are labelled, and which split each is in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/options.h"
#include "data/whole_bag.h"
#include "store/reader.h"

namespace dbps::data {

enum class Split { kTrain, kValidation, kTest };
const char* split_name(Split split);  // "train", "validation", "test"

// One column of the labels CSV, as a task asks for it. Kinds: "multiclass": one class name;
// "multilabel": class names joined by ';' (or '|'); "binary": 0/1 or one of two class names.
struct TaskColumn {
  std::string name;
  std::string column;
  std::string kind;
  std::vector<std::string> classes;  // empty: found in the column, sorted (numbers numerically)
};

// The label of one task: empty when not labelled; one value a class for multilabel (0 or 1), else a
// single class index (binary: 0 or 1).
using Label = std::vector<float>;

struct Picture {
  std::string id;
  std::string patient;  // "" when unknown
  int64_t store = 0;    // which of the stores
  int64_t bag = 0;      // bag in that store; of a slide in several parts the first
  Split split = Split::kTrain;
  std::vector<Label> labels;  // a task
  uint64_t sample = 0;        // stable hash of the id: the name of its random streams
  int64_t home = 0;           // 0 .. num_homes() - 1 (homes.h)
};

// The stores, their labels and splits joined. Immutable once reading has begun; any thread may
// read.
class Dataset {
 public:
  // Throws ConfigError for keys, DataError for files. A label without a picture and a picture
  // without a label are counted and warned about; a picture without any label is left out.
  Dataset(const DataOptions& options, std::vector<TaskColumn> tasks);

  const std::vector<Picture>& pictures() const { return pictures_; }
  // Indices into pictures(), in id order.
  const std::vector<int64_t>& of_split(Split split) const;
  const std::vector<TaskColumn>& tasks() const { return tasks_; }  // classes filled in
  int64_t num_stores() const { return static_cast<int64_t>(stores_.size()); }
  const store::Reader& store(int64_t index) const { return *stores_[index]; }
  store::Kind kind() const { return stores_.front()->settings().kind; }  // all stores agree
  // Of all stores: Reader::forget_tables().
  void forget_tables() const;
  WholeBag whole_bag(int64_t picture) const;
  int64_t num_homes() const { return num_homes_; }  // data.stage_homes, at least 1
  int64_t stored_bytes(int64_t picture) const;      // encoded
  // From now on these tiles of a store are read from `folder`: store::Reader::read_from().
  void read_from(int64_t store, const std::filesystem::path& folder,
                 const std::vector<store::TileRange>& ranges);
  bool reads_copy(int64_t picture) const;
  int64_t feature_width() const;    // F, of kind = features; 0 of others
  int64_t tile_size() const;        // pixels, of kind = tiles; 0 of others
  std::string fingerprint() const;  // of the pixels of all stores
  std::string labels_hash() const;  // of labels and split as read

 private:
  std::vector<std::unique_ptr<store::Reader>> stores_;
  std::vector<TaskColumn> tasks_;
  std::vector<Picture> pictures_;
  int64_t num_homes_;
  std::vector<int64_t> of_split_[3];
};

}  // namespace dbps::data

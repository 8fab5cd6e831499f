// Dividing pictures into training, validation and test.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace dbps::data {

// "train", "val" or "validation", "test". Throws DataError naming `where`.
Split parse_split(const std::string& text, const std::string& where);

// What is divided: items of one group ("": of its own) stay together; strata are divided alike.
struct SplitItem {
  int64_t stratum = 0;
  std::string group;
};

// The part, 0 .. shares.size() - 1, of each item; `shares` add up to 1. Every stratum is divided in
// these shares as nearly as its groups allow. A function of the items' order and seed.
std::vector<int64_t> stratify(const std::vector<SplitItem>& items,
                              const std::vector<double>& shares, int64_t seed);

// Sets the split of each picture as a CSV says (CLAM's and TransMIL's too: base/split_csv.h), by
// `split`, or by `fold`, where that of number `fold` is the validation split; returns, a picture,
// whether the CSV names it. Throws DataError for the file, ConfigError when no row has that fold.
std::vector<bool> read_splits(const std::filesystem::path& path, int64_t fold,
                              std::vector<Picture>& pictures);

// A patient's pictures in training make those in test too easy. `source` names what divided them.
void warn_of_divided_patients(const std::vector<Picture>& pictures, const std::string& source);

// Moves `fraction` of the training pictures into validation: stratified by the first task, whole
// patients together.
void draw_validation(double fraction, int64_t seed, std::vector<Picture>& pictures);

}  // namespace dbps::data

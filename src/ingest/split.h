// Dividing pictures into train, validation and test, or into folds: stratified by label, whole
// patients, the same for the same seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dbps::ingest {

struct SplitOptions {
  double validation = 0.1;  // share of the pictures; not used with folds
  double test = 0.0;        // share of the pictures
  int folds = 0;            // 0: one split; else k >= 2 folds of what is not test
  uint64_t seed = 0;
};

struct LabelledPicture {
  std::string id;
  std::string label;    // "" is a stratum of its own
  std::string patient;  // "": a patient of its own
};

struct Assignment {
  std::string id;
  std::string split;  // "train", "validation" or "test"; with folds only "test" or ""
  int fold = -1;      // 0 .. folds - 1; -1: none
};

// In the order of `pictures`, which does not influence who goes where. A patient's pictures stay
// together, in the stratum of the label most of them have. Throws ConfigError for shares and folds
// that cannot be.
std::vector<Assignment> make_split(const std::vector<LabelledPicture>& pictures,
                                   const SplitOptions& options);

// The CSV that data.split reads: id, split; with folds id, fold and, with a test share, split. With
// data.fold = f, fold f is validation, the others are train.
std::string split_csv(const std::vector<Assignment>& assignments, const SplitOptions& options);

}  // namespace dbps::ingest

// Labels: from the CSVs that people have onto the sources, and into the CSV beside a store. People
// edit that one too: a row that is there is never changed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ingest/sources.h"

namespace dbps::ingest {

struct Unmatched {
  std::vector<std::string> rows;      // of the CSV that name no picture of the list
  std::vector<std::string> pictures;  // without a row
};

// Takes the columns of a CSV that names pictures by `id`, `slide_id` or `path` (extension
// optional): by the whole id, else by its last part where one picture alone has it. They take the
// place of whole columns of the same name: where a picture has no row its cell is empty. Returns
// the ids that only one of the two has. Throws DataError for a CSV without such a column, or with
// two rows for one picture.
Unmatched add_columns(SourceList& list, const CsvTable& table);

// The same for a file of labels: where it has a column that is no id, patient, split or mpp, the
// folders' names are no labels.
Unmatched add_labels(SourceList& list, const CsvTable& table);

std::filesystem::path labels_path(const std::filesystem::path& store);

// Writes labels.csv (id, then the list's columns), or adds to it the rows of ids that it does not
// have yet, with new columns at the end. Only pictures with `is_kept[i]` are written. Returns the
// number of rows added; with none, the file is not touched. Throws DataError for a labels.csv that
// cannot be understood, RuntimeFault when it cannot be written.
int64_t merge_labels(const std::filesystem::path& store, const SourceList& list,
                     const std::vector<char>& is_kept);

// Of the pictures that have a row there already, the ids of those whose row stays though `list` has
// other values in columns of `table`; empty ones do not count. Throws as merge_labels.
std::vector<std::string> rows_that_stay(const std::filesystem::path& store, const SourceList& list,
                                        const CsvTable& table);

}  // namespace dbps::ingest

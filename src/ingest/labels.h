// The labels CSV beside a store. People edit it: a row that is there is never changed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ingest/sources.h"

namespace dbps::ingest {

std::filesystem::path labels_path(const std::filesystem::path& store);

// Writes labels.csv (id, then the list's columns), or adds to it the rows of ids that it does not
// have yet, with new columns at the end. Only pictures with `is_kept[i]` are written. Returns the
// number of rows added; with none, the file is not touched. Throws DataError for a labels.csv that
// cannot be understood, RuntimeFault when it cannot be written.
int64_t merge_labels(const std::filesystem::path& store, const SourceList& list,
                     const std::vector<char>& is_kept);

}  // namespace dbps::ingest

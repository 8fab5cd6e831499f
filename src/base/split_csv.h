// Splits as other tools write them, in the form that this program reads.
#pragma once

#include <filesystem>

#include "base/csv.h"

namespace dbps {

// read_csv(); but a split of CLAM or TransMIL comes as the columns `id` and `split`, a row a slide,
// each with the line where it stands. Such a file has no column id, slide_id, path, split or fold,
// and a column `train` with `val` (or `validation`) or `test`, that hold either ids, the shorter
// columns padded with blanks (`,train,val,test`; TransMIL's labels beside them are left out), or
// True for the slide that the first column names, and False. Throws DataError with file and line.
CsvTable read_split_csv(const std::filesystem::path& path);

}  // namespace dbps

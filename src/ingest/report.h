// What became of each source: between processes, and in the CSVs beside a store.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ingest/bag_maker.h"
#include "ingest/ingest.h"
#include "ingest/sources.h"

namespace dbps::ingest {

struct Outcome {
  enum Kind { kUnknown, kPresent, kKept, kFailed };
  Kind kind = kUnknown;
  std::string reason;  // of kFailed
  MadeBag made;        // of kKept
};

// Those kept and failed, as one line of text; and from another process, by their place in the list
// of sources.
std::string outcomes_to_text(const std::vector<Outcome>& outcomes);
void take_outcomes(const std::string& text, std::vector<Outcome>& outcomes);

// failed.csv: path, reason; removed when nothing failed. Throw RuntimeFault.
void write_failed(const std::filesystem::path& store, const std::vector<FailedSource>& failed);
// slides.csv: id, path, outcome (kept or failed), reason, then `columns`. Rows of earlier ingests
// stay where this one tells nothing new.
void write_report(const std::filesystem::path& store, const SourceList& sources,
                  const std::vector<std::string>& columns, const std::vector<Outcome>& outcomes);

}  // namespace dbps::ingest

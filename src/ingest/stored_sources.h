// Sources beside those that a store has already. Ids alone decide what is skipped.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ingest/sources.h"

namespace dbps::ingest {

struct ReplacedSource {
  std::string id;
  std::filesystem::path path;
  std::string made_from;  // the path that the store has
};

// A source whose id changed because a file of the same stem came or went ("x", then "x.tif") gets
// the id back that it has in the store, where name, size, and time or checksum of the file are the
// same. Returns the sources whose bag in the store was made from another file, or from the same one
// before it changed. Files whose time alone differs are read as a whole, on `jobs` threads; those
// of features, of which the store has no checksum, pass. Nothing is returned or changed where there
// is no store, or a damaged one.
std::vector<ReplacedSource> match_store(SourceList& sources, const std::filesystem::path& store,
                                        int jobs);

}  // namespace dbps::ingest

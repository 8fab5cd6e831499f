// Pictures, slides or feature vectors into a store: parallel over files and processes, restartable,
// each source read once in full to see that it is whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ingest/options.h"
#include "ingest/sources.h"

namespace dbps::ingest {

class BagMaker;

struct Progress {
  int64_t done = 0;  // pictures of this process, those skipped and failed included
  int64_t total = 0;
  uint64_t source_bytes = 0;  // read so far
  double seconds = 0.0;
  double seconds_left = 0.0;
};
// Called from the working threads, one at a time.
using ProgressCallback = std::function<void(const Progress&)>;

struct FailedSource {
  std::string id;  // "": of a folder
  std::filesystem::path path;
  std::string reason;
};

struct Summary {
  int64_t kept = 0;                  // new in the store
  int64_t skipped = 0;               // already there, and whole
  std::vector<FailedSource> failed;  // folders that cannot be read, then sources in id order
  uint64_t source_bytes = 0;         // of the pictures kept
  uint64_t stored_bytes = 0;
  std::map<std::string, int64_t>
      modes;  // other than plain RGB: "palette", "CMYK", "rotated (EXIF)"; numbers converted
  int64_t labels_added = 0;
  double seconds = 0.0;
};

// One of several processes that ingest the same sources into the same store, each its own part:
//
//   Ingestion mine(...);                                     // every process
//   mine.make(<union of all present()>);
//   <when all have returned:> mine.finish(<all parts()>);    // one process
//
// Throws ConfigError and DataError as store::Writer does, RuntimeFault when the disk fails; what
// was ingested until then is kept for the next call.
class Ingestion {
 public:
  // Borrows the sources. A new store of features takes the width that most files have; its
  // numbers are float16 where all of those are, else float32.
  Ingestion(const SourceList& sources, const std::filesystem::path& store,
            const IngestOptions& options, const ProgressCallback& progress = {}, int rank = 0,
            int world_size = 1);
  // With a maker of the caller's; of the options only `jobs` and `shard_bytes` count.
  Ingestion(const SourceList& sources, const std::filesystem::path& store,
            const IngestOptions& options, std::unique_ptr<BagMaker> maker,
            const ProgressCallback& progress = {}, int rank = 0, int world_size = 1);
  ~Ingestion();

  // A line of text: which sources this process finds in the store already.
  std::string present() const;
  // Makes this process's part of the others. A source that cannot be used is left out and told of.
  // Throws RuntimeFault where the processes do not see the same sources.
  void make(const std::vector<std::string>& present);
  // What became of it.
  std::string part() const;
  // Writes labels.csv (rows that are there stay as they are), failed.csv (path, reason; absent when
  // nothing failed), for slides slides.csv, and store.json. When nothing at all could be kept no
  // store is made.
  Summary finish(const std::vector<std::string>& parts);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// All of that in one process.
Summary ingest(const SourceList& sources, const std::filesystem::path& store,
               const IngestOptions& options, const ProgressCallback& progress = {});

}  // namespace dbps::ingest

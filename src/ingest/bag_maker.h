// How one source becomes one bag of a store; a maker for each kind of store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "image/codec.h"
#include "ingest/options.h"
#include "ingest/sources.h"
#include "store/writer.h"

namespace dbps::ingest {

struct MadeBag {
  uint64_t source_bytes = 0;
  uint64_t stored_bytes = 0;
  std::vector<std::string> modes;   // Summary::modes
  std::vector<std::string> report;  // a cell for each of report_columns()
};

// A tile of a store of kind tiles: PNG where its codec says so, else JPEG.
inline std::vector<uint8_t> encode_tile(const image::Image& tile, const store::Settings& settings) {
  return settings.codec == store::Codec::kPng ? image::encode_png(tile)
                                              : image::encode_jpeg(tile, settings.quality);
}

class BagMaker {
 public:
  virtual ~BagMaker() = default;
  virtual const store::Settings& settings() const = 0;  // of the store
  // Of slides.csv, which tells what was made of each source; none: there is no such file.
  virtual std::vector<std::string> report_columns() const { return {}; }
  // How much work a source is beside the others, in any unit; 0: as much as any. Ranks get equal
  // shares of it, and the largest come first, so that none is left to one thread at the end.
  virtual uint64_t work(const SourcePicture& /*source*/) const { return 0; }
  // Appends the bag. Any thread. Throws DataError for a source that cannot be used.
  virtual MadeBag make(const SourcePicture& source, store::Writer& writer) = 0;
};

// Borrows the options. Throws ConfigError as settings_of() does.
std::unique_ptr<BagMaker> make_picture_maker(const IngestOptions& options);

// Pictures of masks and grids go to STORE/slides. Throws ConfigError as settings_of() does.
std::unique_ptr<BagMaker> make_slide_maker(const SourceList& sources,
                                           const std::filesystem::path& store,
                                           const IngestOptions& options, int jobs);

// Of the members of an HDF5 file. Throws ConfigError as settings_of() does.
std::unique_ptr<BagMaker> make_patch_maker(const std::filesystem::path& store,
                                           const IngestOptions& options);

// Looks at the store for its settings, or else, on `jobs` threads, at the headers of all sources.
std::unique_ptr<BagMaker> make_feature_maker(const SourceList& sources,
                                             const std::filesystem::path& store, int jobs);

}  // namespace dbps::ingest

// Which pictures (or files of feature vectors) a source holds, what each is called, and what is
// known of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/csv.h"
#include "store/format.h"

namespace dbps::ingest {

struct SourcePicture {
  std::string id;  // the path below the source without extension; with it where two would clash
  std::filesystem::path path;
  std::vector<std::string> values;  // of SourceList::columns; "" where nothing is known
  std::string member = {};          // of a file that holds many bags by name
};

struct UnreadFolder {
  std::filesystem::path path;
  std::string reason;
};

struct SourceList {
  std::vector<std::string> columns;     // of labels.csv beside the id: "label", "split", ...
  std::vector<SourcePicture> pictures;  // in id order
  bool labels_are_folders = false;      // "label" has their names, or nothing
  // Of a folder: files that look like pictures of a format that is not read, by extension.
  std::map<std::string, int64_t> passed_over = {};
  std::vector<UnreadFolder> unread = {};  // below it, which were passed over

  // The place of a column, made with empty values when it is not there.
  size_t column(const std::string& name);
};

// A folder: `train|val|test/<class>/*`, `<class>/*`, or pictures without classes (by extension:
// kind = images takes JPEG, PNG and TIFF, kind = features .npy, .safetensors, .h5, .hdf5 and .pt;
// hidden files and folders are left out; the .dcm files of a folder are one slide of its name). A
// CSV: a column `path`, relative to its folder, optionally `id`, and any others, which are labels.
// Or one picture. Files are not opened, but for the headers of .dcm and of .safetensors and HDF5,
// which may hold many bags and, in IPS's layout, their labels. Throws ConfigError when there is no
// such source or no picture in it, and for a folder with files of two DICOM slides, DataError for a
// CSV that is wrong; two rows with one id are named with both lines.
SourceList find_sources(const std::filesystem::path& source,
                        store::Kind kind = store::Kind::kImages);
// "cannot read the folder slides/siteB: Permission denied"
std::string unread_text(const UnreadFolder& folder);
// "2 .bmp and 1 .webp" of SourceList::passed_over.
std::string passed_over_text(const std::map<std::string, int64_t>& passed_over);

// Path, size and time of change of a file; no hash yet. Throws DataError when it cannot be opened.
store::Source describe_source(const std::filesystem::path& path);

}  // namespace dbps::ingest

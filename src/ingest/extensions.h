// Which files are sources, by their extensions, in capitals or not.
#pragma once

#include <filesystem>
#include <string>

#include "store/format.h"

namespace dbps::ingest {

// Whether the extension is one that `kind` takes.
bool has_source_extension(const std::filesystem::path& path, store::Kind kind);
// Without an extension that any kind takes.
std::string without_source_extension(const std::string& path);
const char* what_is_read(store::Kind kind);  // "picture (.jpg .jpeg .png .tif .tiff)"

bool is_jpeg_or_png(const std::filesystem::path& path);
bool is_dicom(const std::filesystem::path& path);
bool is_slide(const std::filesystem::path& path);  // of a format of slides alone
// Also of a format that is not read.
bool looks_like_picture(const std::filesystem::path& path);

}  // namespace dbps::ingest

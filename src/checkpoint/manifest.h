// manifest.json of a checkpoint: step, and size and CRC-32C of each other file.
#pragma once

#include <cstdint>
#include <filesystem>

namespace dbps::checkpoint {

// Describes the files that are in the folder now. Throws RuntimeFault.
void write_manifest(const std::filesystem::path& folder, int64_t step);

// Holds every byte of every file, the manifest's own included, against the manifest. Throws
// DataError naming the file that is missing, cut short or altered.
void verify_manifest(const std::filesystem::path& folder, int64_t step);

}  // namespace dbps::checkpoint

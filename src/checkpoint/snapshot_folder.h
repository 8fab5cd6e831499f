// The files of one checkpoint.
#pragma once

#include <filesystem>

#include "checkpoint/checkpoint.h"

namespace dbps::checkpoint {

inline constexpr const char* kSnapshotFiles[] = {"model.safetensors", "optimizer.safetensors",
                                                 "state.json"};

// Into an existing empty folder; every file and the folder are on the disk when it returns. Tensors
// lie on the CPU. Throws RuntimeFault.
void write_snapshot(const std::filesystem::path& folder, const Snapshot& snapshot);

// Verified before anything is made of it. Throws DataError naming the file.
Snapshot read_snapshot(const std::filesystem::path& folder, int64_t step);

}  // namespace dbps::checkpoint

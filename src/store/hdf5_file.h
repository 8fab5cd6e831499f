// Files of other tools, read with care: datasets that lie in the file itself, attributes that may
// be absent. Throws Hdf5Error. Only this room's .cpp files use it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "store/hdf5_handle.h"
#include "store/vectors.h"

namespace dbps::store {

// Read-only, with file locking off (network file systems).
Handle open_hdf5_file(const std::filesystem::path& path);

// The names of what lies directly in a file or group.
std::vector<std::string> names_in(hid_t location);
// Links that lead to other files are not followed: what they name is not there.
bool has_dataset(hid_t location, const char* name);
bool has_group(hid_t location, const char* name);
Handle open_group(hid_t file, const std::string& name);  // "": the file itself
// Refuses one that takes its numbers from other files.
Handle open_dataset(hid_t location, const char* name);
// The same; one that is not there is missed with the names of what is.
Handle open_named(hid_t location, const char* name);
// Without a leading 1 before two dimensions, which is noted.
std::vector<hsize_t> shape_of(hid_t set, bool& leading);

// An attribute's only or first number; nothing where it is absent or text.
std::optional<double> read_number(hid_t object, const char* name);
// An attribute's only value, number or text, as text.
std::optional<std::string> read_word(hid_t object, const char* name);

// (N, 2) or (1, N, 2) of a dataset, as x and y; none where N is 0. `count` < 0: any N.
std::vector<Place> read_places(hid_t location, const char* name, int64_t count);
// IPS's `pos`: the same, or (N,), which becomes x.
std::vector<Place> read_positions(hid_t group, int64_t count);

}  // namespace dbps::store

// The attributes of `coords`. Only this room's .cpp files use it.
#pragma once

#include "store/hdf5_handle.h"
#include "store/slide_coordinates.h"

namespace dbps::store {

// Of the dataset in `location`; throws Hdf5Error for sizes that cannot be.
PatchFrame read_frame(hid_t location, const char* name);

}  // namespace dbps::store

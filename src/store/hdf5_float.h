// Floating-point types of HDF5 by their size. Only this room's .cpp files use it.
#pragma once

#include <cstddef>

#include "store/hdf5_handle.h"

namespace dbps::store {

// IEEE, little-endian, of 2, 4 or 8 bytes; h5py shows them as float16, float32 and float64.
Handle float_type(size_t bytes);

}  // namespace dbps::store

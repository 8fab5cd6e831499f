// Attributes of HDF5 objects, written. Only this room's .cpp files use it.
#pragma once

#include <string>

#include "store/hdf5_handle.h"

namespace dbps::store {

// One value is a scalar, several are a row.
inline void write_attribute(hid_t object, const char* name, hid_t type, hid_t memory, hsize_t count,
                            const void* value) {
  const Handle space(count == 1 ? DBPS_HDF5(H5Screate(H5S_SCALAR))
                                : DBPS_HDF5(H5Screate_simple(1, &count, nullptr)),
                     H5Sclose);
  const Handle attribute(DBPS_HDF5(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT)),
                         H5Aclose);
  DBPS_HDF5(H5Awrite(attribute, memory, value));
}

}  // namespace dbps::store

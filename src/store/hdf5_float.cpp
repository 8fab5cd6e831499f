#include "store/hdf5_float.h"

namespace dbps::store {

Handle float_type(size_t bytes) {
  Handle type(DBPS_HDF5(H5Tcopy(bytes == 8 ? H5T_IEEE_F64LE : H5T_IEEE_F32LE)), H5Tclose);
  if (bytes != 2) return type;
  // Sign, exponent and mantissa of half precision, which HDF5 1.10 has no name for.
  DBPS_HDF5(H5Tset_fields(type, 15, 10, 5, 0, 10));
  DBPS_HDF5(H5Tset_size(type, 2));
  DBPS_HDF5(H5Tset_ebias(type, 15));
  return type;
}

}  // namespace dbps::store

# Run by cpack on the staged files: a package carries no path of the machine that built it.
set(_libexec "${CPACK_TEMPORARY_DIRECTORY}${CPACK_PACKAGING_INSTALL_PREFIX}/libexec/dbps")
file(RPATH_REMOVE FILE "${_libexec}/dbps")
file(REMOVE "${_libexec}/libtorch")

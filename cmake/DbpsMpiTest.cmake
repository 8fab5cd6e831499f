# dbps_mpi_test(NAME RANKS TARGET [NIGHTLY] [ARGUMENTS...]): a ctest entry that runs TARGET on RANKS
# ranks; NIGHTLY: only when asked for, by ./launcher/nightly.

# What Open MPI needs as root, with more ranks than cores, and in a container.
set(DBPS_MPI_ENVIRONMENT
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  OMPI_MCA_btl_vader_single_copy_mechanism=none OMP_NUM_THREADS=1)

function(dbps_mpi_test name ranks target)
  cmake_parse_arguments(PARSE_ARGV 3 test "NIGHTLY" "" "")
  set(when)
  if(test_NIGHTLY)
    set(when CONFIGURATIONS full)
  endif()
  add_test(NAME ${name}
    COMMAND ${MPIEXEC_EXECUTABLE} --bind-to none --oversubscribe ${MPIEXEC_NUMPROC_FLAG} ${ranks}
            $<TARGET_FILE:${target}> ${test_UNPARSED_ARGUMENTS}
    ${when})
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "${DBPS_MPI_ENVIRONMENT}" TIMEOUT 60)
  if(test_NIGHTLY)
    set_tests_properties(${name} PROPERTIES LABELS nightly)
  endif()
endfunction()

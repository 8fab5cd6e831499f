# dbps_room(NAME [TORCH] SOURCES ... [USES rooms...] [LIBRARIES external targets...])
#
# A room is a folder below src and a static library dbps_<room>. TORCH says that its sources include
# LibTorch; they then share one precompiled header.

add_library(dbps_flags INTERFACE)
target_compile_options(dbps_flags INTERFACE -Wall -Wextra -Werror)
target_include_directories(dbps_flags INTERFACE "${CMAKE_SOURCE_DIR}/src")
# LibTorch's wheel carries headers of another fmt than the one that is linked: ours are found first.
get_target_property(_fmt_include fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/first")
file(CREATE_LINK "${_fmt_include}/fmt" "${CMAKE_BINARY_DIR}/first/fmt" SYMBOLIC)
target_include_directories(dbps_flags SYSTEM INTERFACE "${CMAKE_BINARY_DIR}/first")
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(dbps_flags INTERFACE _GLIBCXX_ASSERTIONS)
endif()
if(DBPS_SANITIZE)
  target_compile_options(dbps_flags INTERFACE "-fsanitize=${DBPS_SANITIZE}" -fno-omit-frame-pointer)
  # What sanitizers add makes GCC see uninitialised values where there are none.
  target_compile_options(dbps_flags INTERFACE -Wno-error=maybe-uninitialized)
  target_link_options(dbps_flags INTERFACE "-fsanitize=${DBPS_SANITIZE}")
endif()
if(DBPS_FUZZ)
  # Coverage that libFuzzer steers by; main() comes with each program of tests/fuzz.
  target_compile_options(dbps_flags INTERFACE -fsanitize=fuzzer-no-link -fno-sanitize-recover=all)
endif()

if(TARGET LibTorch::torch)
  file(WRITE "${CMAKE_BINARY_DIR}/pch/torch_pch.cpp" "#include <ATen/ATen.h>\n")
  add_library(dbps_torch_pch OBJECT "${CMAKE_BINARY_DIR}/pch/torch_pch.cpp")
  target_link_libraries(dbps_torch_pch PRIVATE dbps_flags LibTorch::torch)
  target_precompile_headers(dbps_torch_pch PRIVATE <ATen/ATen.h>)
  # -fpch-preprocess lets ccache see through the precompiled header.
  target_compile_options(dbps_torch_pch PRIVATE -fpch-preprocess)
endif()

function(dbps_use_torch target)
  target_link_libraries(${target} PUBLIC LibTorch::torch)
  # libtorch.so exports parts of an older std::filesystem that crash: the system's are found first.
  target_link_options(${target} PUBLIC -Wl,--push-state,--no-as-needed -lstdc++ -Wl,--pop-state)
  target_precompile_headers(${target} REUSE_FROM dbps_torch_pch)
  target_compile_options(${target} PRIVATE -fpch-preprocess)
endfunction()

function(dbps_room name)
  cmake_parse_arguments(ROOM "TORCH" "" "SOURCES;USES;LIBRARIES" ${ARGN})
  add_library(dbps_${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(dbps_${name} PUBLIC dbps_flags Threads::Threads PRIVATE ${ROOM_LIBRARIES})
  foreach(room IN LISTS ROOM_USES)
    target_link_libraries(dbps_${name} PUBLIC dbps_${room})
  endforeach()
  if(ROOM_TORCH)
    dbps_use_torch(dbps_${name})
  endif()
endfunction()

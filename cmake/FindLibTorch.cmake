# Finds LibTorch in a Python wheel, a zip or an installation, without asking for a CUDA toolkit.
#
# Looks in Torch_DIR (the folder itself, or its share/cmake/Torch), then in DBPS_DEPS, then in .deps.
# Defines:
#   LibTorch::torch   headers and libraries; with CUDA when that LibTorch has it
#   LibTorch::nccl    the NCCL that LibTorch itself loads; only when headers and library are there
#   LibTorch_CUDA     whether that LibTorch has CUDA and its runtime headers were found
#   LibTorch_VERSION, LibTorch_ROOT
#   LibTorch_LIBRARY_DIRS   its libraries, and CUDA's that come in its wheel

set(_deps "$ENV{DBPS_DEPS}")
if(NOT _deps)
  set(_deps "${CMAKE_SOURCE_DIR}/.deps")
endif()
file(GLOB _wheels "${_deps}/venv/lib/python3*/site-packages/torch")
foreach(_given "${Torch_DIR}" "$ENV{Torch_DIR}")
  if(_given)
    list(APPEND _roots "${_given}" "${_given}/../../..")
  endif()
endforeach()
set(LibTorch_ROOT "LibTorch_ROOT-NOTFOUND")
foreach(_root IN LISTS _roots _wheels)
  if(EXISTS "${_root}/include/ATen/ATen.h" AND EXISTS "${_root}/lib/libtorch_cpu.so")
    get_filename_component(LibTorch_ROOT "${_root}" ABSOLUTE)
    break()
  endif()
endforeach()

if(LibTorch_ROOT)
  set(_version_header "${LibTorch_ROOT}/include/torch/headeronly/version.h")
  if(NOT EXISTS "${_version_header}")
    set(_version_header "${LibTorch_ROOT}/include/torch/csrc/api/include/torch/version.h")
  endif()
  file(STRINGS "${_version_header}" _lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX MATCHALL "[0-9]+" _numbers "${_lines}")
  list(JOIN _numbers "." LibTorch_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_ROOT
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run ./launcher/setup, or set Torch_DIR to a LibTorch folder")

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
  set(_lib "${LibTorch_ROOT}/lib")
  get_filename_component(_site "${LibTorch_ROOT}/.." ABSOLUTE)
  # The wheel keeps CUDA's libraries beside torch, in nvidia/*/lib.
  file(GLOB _nvidia_libraries "${_site}/nvidia/*/lib")
  set(LibTorch_LIBRARY_DIRS "${_lib}" ${_nvidia_libraries})

  add_library(LibTorch::torch INTERFACE IMPORTED)
  target_include_directories(LibTorch::torch SYSTEM INTERFACE
    "${LibTorch_ROOT}/include" "${LibTorch_ROOT}/include/torch/csrc/api/include")
  target_link_directories(LibTorch::torch INTERFACE "${_lib}")
  target_link_options(LibTorch::torch INTERFACE
    "LINKER:-rpath,${_lib}" "LINKER:--no-as-needed")
  set(_link torch torch_cpu c10)

  set(LibTorch_CUDA OFF)
  if(EXISTS "${_lib}/libtorch_cuda.so")
    find_path(LibTorch_CUDA_INCLUDE cuda_runtime_api.h
      HINTS "${_site}/nvidia/cu13/include" "${_site}/nvidia/cuda_runtime/include"
            "$ENV{CUDA_HOME}/include" /usr/local/cuda/include)
    list(APPEND _link torch_cuda c10_cuda)
    foreach(_dir IN LISTS _nvidia_libraries)
      target_link_options(LibTorch::torch INTERFACE
        "LINKER:-rpath-link,${_dir}" "LINKER:-rpath,${_dir}")
    endforeach()
    set(_cuda_includes "${LibTorch_CUDA_INCLUDE}")
    # CUDA 13's wheels share one folder, CUDA 12's have one for each part.
    if(LibTorch_CUDA_INCLUDE STREQUAL "${_site}/nvidia/cuda_runtime/include")
      file(GLOB _cuda_includes "${_site}/nvidia/*/include")
    endif()
    find_path(LibTorch_CUDA_CRT crt/host_config.h PATHS ${_cuda_includes} NO_DEFAULT_PATH)
    if(LibTorch_CUDA_INCLUDE AND NOT LibTorch_CUDA_CRT)
      message(WARNING "no GPU code: ${LibTorch_CUDA_INCLUDE} comes without crt/host_config.h; ./launcher/setup installs it")
    elseif(LibTorch_CUDA_INCLUDE)
      set(LibTorch_CUDA ON)
      target_include_directories(LibTorch::torch SYSTEM INTERFACE ${_cuda_includes})
      find_library(LibTorch_CUDART NAMES cudart libcudart.so.13 libcudart.so.12 NAMES_PER_DIR
        HINTS ${_nvidia_libraries} "$ENV{CUDA_HOME}/lib64" /usr/local/cuda/lib64)
      if(LibTorch_CUDART)
        target_link_libraries(LibTorch::torch INTERFACE "${LibTorch_CUDART}")
      endif()
    endif()
  endif()
  target_link_libraries(LibTorch::torch INTERFACE ${_link})
  # at::parallel_for is compiled into its callers, as one thread where they are built without OpenMP.
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  target_compile_options(LibTorch::torch INTERFACE ${OpenMP_CXX_FLAGS})
  target_link_options(LibTorch::torch INTERFACE ${OpenMP_CXX_FLAGS})

  find_path(LibTorch_NCCL_INCLUDE nccl.h HINTS "${_site}/nvidia/nccl/include")
  find_library(LibTorch_NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS "${_site}/nvidia/nccl/lib")
  if(LibTorch_CUDA AND LibTorch_NCCL_INCLUDE AND LibTorch_NCCL_LIBRARY)
    add_library(LibTorch::nccl INTERFACE IMPORTED)
    target_include_directories(LibTorch::nccl SYSTEM INTERFACE "${LibTorch_NCCL_INCLUDE}")
    target_link_libraries(LibTorch::nccl INTERFACE "${LibTorch_NCCL_LIBRARY}" LibTorch::torch)
  endif()
endif()

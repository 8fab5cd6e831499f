#include <ATen/ATen.h>
#include <ATen/Version.h>
#include <fmt/format.h>
#include <hdf5.h>
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>
#include <openslide/openslide.h>
#include <sys/resource.h>
#include <torch/version.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#ifdef DBPS_CUDA
#include <cuda_runtime_api.h>
#endif
#ifdef DBPS_NCCL
#include <nccl.h>
#endif

#include "base/parallel.h"
#include "base/text.h"
#include "config/config.h"
#include "launcher/verbs/verbs.h"
#include "launcher/version.h"

namespace dbps::launcher {
namespace {

struct Finding {
  std::string name;
  std::string value;
  std::string advice;  // what to do about a fault; "": none
};

std::string first_line_of(const char* path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return trim(line);
}

// The oldest driver that runs a CUDA version (NVIDIA's table of minor-version compatibility).
int needed_driver(int cuda) { return cuda >= 13000 ? 580 : cuda >= 12080 ? 570 : 525; }

void add_devices(std::vector<Finding>& findings) {
#ifdef DBPS_CUDA
  const int needed = needed_driver(CUDART_VERSION);
  const std::string cuda = fmt::format("{}.{}", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  const std::string driver = first_line_of("/sys/module/nvidia/version");
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  const bool old = !driver.empty() && std::atoi(driver.c_str()) < needed;
  findings.push_back({"gpu driver",
                      fmt::format("{}; CUDA {} needs {} or newer",
                                  driver.empty() ? "none found" : driver, cuda, needed),
                      old ? "update the driver, or ./launcher/setup --torch 2.10" : ""});
  if (status != cudaSuccess || count == 0) {
    const char* why = driver.empty() ? "no driver" : cudaGetErrorString(status);
    findings.push_back({"gpus", fmt::format("none ({}): training runs on the CPU", why), ""});
  }
  for (int i = 0; status == cudaSuccess && i < count; ++i) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    findings.push_back({fmt::format("gpu {}", i),
                        fmt::format("{}, {}, compute {}.{}", properties.name,
                                    format_bytes(static_cast<double>(properties.totalGlobalMem)),
                                    properties.major, properties.minor),
                        ""});
  }
#else
  findings.push_back({"gpus", "this LibTorch is built without CUDA: training runs on the CPU", ""});
#endif
}

Finding nccl() {
#ifdef DBPS_NCCL
  int number = 0;
  if (ncclGetVersion(&number) == ncclSuccess) {
    return {"nccl", fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100), ""};
  }
#endif
  return {"nccl", "absent: ranks sum gradients by MPI", ""};
}

// Callable before MPI_Init, which a world of one never calls.
Finding mpi() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  return {"mpi", split(std::string(text, static_cast<size_t>(length)), ',')[0], ""};
}

Finding hdf5() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return {"hdf5", fmt::format("{}.{}.{}", major, minor, release), ""};
}

Finding slides() { return {"openslide", openslide_get_version(), ""}; }

Finding memory() {
  const double total = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  // A container may have less than the machine.
  const std::string limit = first_line_of("/sys/fs/cgroup/memory.max");
  const double limited = limit.empty() || limit == "max" ? total : std::stod(limit);
  return {"memory", format_bytes(std::min(total, limited)), ""};
}

Finding open_files() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const bool few = limit.rlim_cur < 1024;
  return {"open files", fmt::format("{} (at most {})", limit.rlim_cur, limit.rlim_max),
          few ? "stores of many shards need more: ulimit -n 1024" : ""};
}

std::vector<Finding> examine() {
  std::vector<Finding> findings;
  findings.push_back({"dbps", fmt::format("{} {}", version(), commit()), ""});
  findings.push_back(
      {"libtorch", fmt::format("{}, {}", TORCH_VERSION, at::get_cpu_capability()), ""});
  add_devices(findings);
  findings.push_back(nccl());
  findings.push_back(mpi());
  findings.push_back(hdf5());
  findings.push_back(slides());
  findings.push_back({"cores", std::to_string(available_cores()), ""});
  findings.push_back(memory());
  findings.push_back(open_files());
  return findings;
}

void print(const std::vector<Finding>& findings, bool json) {
  if (json) {
    nlohmann::ordered_json object;
    for (const Finding& finding : findings) {
      object[finding.name]["value"] = finding.value;
      if (!finding.advice.empty()) object[finding.name]["advice"] = finding.advice;
    }
    fmt::print("{}\n", object.dump());
    return;
  }
  for (const Finding& finding : findings) {
    fmt::print("{:<12}{}{}\n", finding.name, finding.value,
               finding.advice.empty() ? "" : "  -> " + finding.advice);
  }
}

void print_unsupported(bool json) {
  const std::vector<std::string> all = config::unsupported();
  if (json) {
    fmt::print("{}\n", nlohmann::json(all).dump());
    return;
  }
  for (const std::string& key : all) fmt::print("{}\n", key);
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
  auto unsupported = std::make_shared<bool>(false);
  app.add_flag("--unsupported", *unsupported,
               "Keys and values that configurations may come to hold, but not yet");
  app.callback([unsupported, &context] {
    if (*unsupported) {
      print_unsupported(context.json);
    } else {
      print(examine(), context.json);
    }
  });
}

}  // namespace dbps::launcher

#include "distributed/launch.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/error.h"

namespace dbps::distributed {

Launch read_launch(const std::function<const char*(const char*)>& variable) {
  Launch launch;
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"}) {
    launch.by_mpi = launch.by_mpi || variable(name) != nullptr;
  }
  const auto read_tasks = [&](const char* name) {
    const char* value = variable(name);
    if (value != nullptr) {
      launch.tasks = std::strtoll(value, nullptr, 10);
      launch.said_by = name;
    }
    return value != nullptr;
  };
  // mpirun knows best: inside a Slurm step it may start fewer ranks than the step has tasks.
  if (read_tasks("OMPI_COMM_WORLD_SIZE") || read_tasks("PMI_SIZE")) return launch;
  // A batch script has SLURM_NTASKS too, but is a single process; only a step has several.
  if (variable("SLURM_STEP_ID") != nullptr && variable("SLURM_PROCID") != nullptr) {
    read_tasks("SLURM_STEP_NUM_TASKS") || read_tasks("SLURM_NTASKS");
  }
  return launch;
}

void check_launch(const Launch& launch, int world_size) {
  if (world_size > 1 || launch.tasks <= 1) return;
  const bool slurm = launch.said_by.starts_with("SLURM");
  throw ConfigError(fmt::format(
      "{} says that {} processes were started, but each sees only itself; start them with: {}",
      launch.said_by, launch.tasks,
      slurm ? fmt::format("srun --mpi=pmix -n {} dbps ...", launch.tasks)
            : fmt::format("./launcher/mpirun -n {} dbps ... (Open MPI's, not another MPI's)",
                          launch.tasks)));
}

}  // namespace dbps::distributed

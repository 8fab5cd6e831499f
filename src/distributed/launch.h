// What the environment says about who started this process. Private to the room.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace dbps::distributed {

struct Launch {
  bool by_mpi = false;  // a launcher that MPI can join: mpirun, srun --mpi=pmix
  int64_t tasks = 1;    // how many processes the launcher says there are
  std::string said_by;  // the variable that says so; empty when none does
};

// `variable` returns an environment variable's value or nullptr (std::getenv).
Launch read_launch(const std::function<const char*(const char*)>& variable);

// Throws ConfigError, with the line to type, when the launcher started more processes than the
// `world_size` that this process sees: each would then train alone and write the same files.
void check_launch(const Launch& launch, int world_size);

}  // namespace dbps::distributed

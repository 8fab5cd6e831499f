#include <unistd.h>

#include <cstdlib>

#include "base/log.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/lock_file.h"

namespace dbps::checkpoint {

RunLock::RunLock(const std::filesystem::path& run_folder, const std::string& host)
    : path_(run_folder / "lock") {
  make_folders(run_folder);
  const char* job = std::getenv("SLURM_JOB_ID");
  const Holder holder = {host, ::getpid(), job != nullptr && *job != '\0' ? job : "-"};
  file_ = claim_by_lock(path_, holder);
  if (file_) return;
  log::warning("{}: this file system has no locks; the file itself keeps other writers out",
               path_.string());
  file_ = claim_by_creation(path_, holder);
}

RunLock::~RunLock() {
  // While the lock is still held: a later holder's file is another one.
  ::unlink(path_.c_str());
}

}  // namespace dbps::checkpoint

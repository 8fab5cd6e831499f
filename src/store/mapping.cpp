#include "store/mapping.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <string>

#include "base/error.h"

namespace dbps::store {
namespace {

// A handler can reach nothing but globals, and may come at any time: what it walks over is never
// freed, only taken up again by a later mapping.
struct Known {
  std::atomic<uintptr_t> begin = 0;  // 0: free
  std::atomic<uintptr_t> end = 0;
  std::string line;
  Known* next = nullptr;
};
std::atomic<Known*> all_known = nullptr;
std::mutex changing;
struct sigaction previous {};

void tell_and_end(int, siginfo_t* info, void*) {
  const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
  for (const Known* known = all_known; known != nullptr; known = known->next) {
    if (at < known->begin || at >= known->end) continue;
    [[maybe_unused]] const auto written =
        ::write(STDERR_FILENO, known->line.data(), known->line.size());
    ::_exit(static_cast<int>(ExitCode::kBadData));
  }
  ::sigaction(SIGBUS, &previous, nullptr);
  if (info->si_code <= 0) ::raise(SIGBUS);  // sent; else the instruction, tried again, raises it
}

Known* remember(const std::string& name, const void* mapped, size_t bytes) {
  const std::lock_guard lock(changing);
  if (all_known == nullptr) {
    struct sigaction action {};
    action.sa_sigaction = tell_and_end;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &previous);
  }
  Known* known = all_known;
  while (known != nullptr && known->begin != 0) known = known->next;
  const bool is_new = known == nullptr;
  if (is_new) known = new Known;
  known->line = fmt::format(
      "error: {} can no longer be read: another program cut it short, or its disk failed; "
      "`dbps verify` says what to ingest again\n",
      name);
  known->end = reinterpret_cast<uintptr_t>(mapped) + bytes;
  known->begin = reinterpret_cast<uintptr_t>(mapped);
  if (is_new) {
    known->next = all_known;
    all_known = known;
  }
  return known;
}

void forget_known(Known* known) {
  const std::lock_guard lock(changing);
  known->begin = 0;
  known->end = 0;
}

}  // namespace

Mapping::Mapping(const std::filesystem::path& path, int fd, uint64_t offset, size_t bytes)
    : bytes_(bytes) {
  void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) {
    throw DataError(errno_message(fmt::format("cannot map {}", path.string())));
  }
  Known* known = remember(path.string(), mapped, bytes);
  mapped_ = {static_cast<uint8_t*>(mapped), [bytes, known](uint8_t* at) {
               forget_known(known);
               ::munmap(at, bytes);
             }};
}

void Mapping::forget() const {
  if (mapped_) ::madvise(mapped_.get(), bytes_, MADV_DONTNEED);
}

}  // namespace dbps::store

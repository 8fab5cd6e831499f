#include "distributed/mpi_world.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "distributed/host.h"
#include "distributed/mpi_heartbeats.h"

namespace dbps::distributed {

void check_mpi(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  MPI_Error_string(status, text, &length);
  const std::string name(call, std::strcspn(call, "("));
  throw RuntimeFault(fmt::format("{} failed: {}", name, text));
}

namespace {

// Another rank may be decoding or writing for seconds, often on the core that this one would burn
// in a blocking call.
void finish(MPI_Request request) {
  using std::chrono::microseconds;
  constexpr int kEagerTests = 20;
  microseconds pause{50};
  for (int tests = 0;; ++tests) {
    int done = 0;
    DBPS_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (done != 0) return;
    if (tests < kEagerTests) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, microseconds{1000});
    }
  }
}

MPI_Comm duplicate(MPI_Comm from) {
  MPI_Comm copy = MPI_COMM_NULL;
  DBPS_MPI(MPI_Comm_dup(from, &copy));
  DBPS_MPI(MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN));
  return copy;
}

}  // namespace

MpiWorld::MpiWorld() : exceptions_at_start_(std::uncaught_exceptions()), host_(host_name()) {
  int provided = MPI_THREAD_SINGLE;
  DBPS_MPI(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided));
  if (provided < MPI_THREAD_MULTIPLE) {
    MPI_Finalize();
    throw RuntimeFault(
        "this MPI has no MPI_THREAD_MULTIPLE, which reducing gradients during backward needs; "
        "use an Open MPI built with it (Debian's is)");
  }
  DBPS_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  control_ = duplicate(MPI_COMM_WORLD);
  heartbeats_ = duplicate(MPI_COMM_WORLD);
  DBPS_MPI(MPI_Comm_rank(control_, &rank_));
  DBPS_MPI(MPI_Comm_size(control_, &world_size_));
  MPI_Comm local = MPI_COMM_NULL;
  DBPS_MPI(MPI_Comm_split_type(control_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local));
  DBPS_MPI(MPI_Comm_rank(local, &local_rank_));
  DBPS_MPI(MPI_Comm_size(local, &local_size_));
  // A node is counted at the first of its ranks.
  const int first = local_rank_ == 0 ? 1 : 0;
  DBPS_MPI(MPI_Scan(&first, &node_, 1, MPI_INT, MPI_SUM, control_));
  DBPS_MPI(MPI_Allreduce(&first, &num_nodes_, 1, MPI_INT, MPI_SUM, control_));
  --node_;
  DBPS_MPI(MPI_Bcast(&node_, 1, MPI_INT, 0, local));
  DBPS_MPI(MPI_Comm_free(&local));
}

MpiWorld::~MpiWorld() {
  // MPI_Finalize waits for ranks that may never come when only this one failed.
  if (std::uncaught_exceptions() > exceptions_at_start_) return;
  try {
    barrier();
    drop_heartbeats(heartbeats_);
  } catch (const std::exception& error) {
    log::error("rank {}: {}", rank_, error.what());
    return;
  }
  MPI_Comm_free(&control_);
  MPI_Comm_free(&heartbeats_);
  MPI_Finalize();
}

MPI_Comm MpiWorld::split(int color) {
  MPI_Comm part = MPI_COMM_NULL;
  DBPS_MPI(MPI_Comm_split(control_, color, rank_, &part));
  DBPS_MPI(MPI_Comm_set_errhandler(part, MPI_ERRORS_RETURN));
  return part;
}

void MpiWorld::barrier() {
  MPI_Request request = MPI_REQUEST_NULL;
  DBPS_MPI(MPI_Ibarrier(control_, &request));
  finish(request);
}

std::string MpiWorld::broadcast(const std::string& bytes, int root) {
  MPI_Request request = MPI_REQUEST_NULL;
  int64_t size = static_cast<int64_t>(bytes.size());
  DBPS_MPI(MPI_Ibcast(&size, 1, MPI_INT64_T, root, control_, &request));
  finish(request);
  std::string result = rank_ == root ? bytes : std::string(static_cast<size_t>(size), '\0');
  for (int64_t begin = 0; begin < size; begin += kMostElements) {
    const int count = static_cast<int>(std::min(kMostElements, size - begin));
    DBPS_MPI(MPI_Ibcast(result.data() + begin, count, MPI_BYTE, root, control_, &request));
    finish(request);
  }
  return result;
}

std::vector<std::string> MpiWorld::all_gather(const std::string& bytes) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int64_t size = static_cast<int64_t>(bytes.size());
  std::vector<int64_t> sizes(static_cast<size_t>(world_size_));
  DBPS_MPI(MPI_Iallgather(&size, 1, MPI_INT64_T, sizes.data(), 1, MPI_INT64_T, control_, &request));
  finish(request);

  std::vector<int> counts;
  std::vector<int> starts;
  int64_t total = 0;
  for (const int64_t one : sizes) {
    DBPS_CHECK(total + one <= std::numeric_limits<int>::max(),
               "the ranks' messages exceed 2 GiB together");
    starts.push_back(static_cast<int>(total));
    counts.push_back(static_cast<int>(one));
    total += one;
  }
  std::string joined(static_cast<size_t>(total), '\0');
  DBPS_MPI(MPI_Iallgatherv(bytes.data(), static_cast<int>(size), MPI_BYTE, joined.data(),
                           counts.data(), starts.data(), MPI_BYTE, control_, &request));
  finish(request);

  std::vector<std::string> result;
  for (size_t i = 0; i < sizes.size(); ++i) {
    result.push_back(joined.substr(static_cast<size_t>(starts[i]), static_cast<size_t>(counts[i])));
  }
  return result;
}

int64_t MpiWorld::max(int64_t value) {
  MPI_Request request = MPI_REQUEST_NULL;
  DBPS_MPI(MPI_Iallreduce(MPI_IN_PLACE, &value, 1, MPI_INT64_T, MPI_MAX, control_, &request));
  finish(request);
  return value;
}

// MPI_Allreduce may add in any order; metrics must not depend on it.
std::vector<double> MpiWorld::sum(const std::vector<double>& values) {
  const std::string bytes(reinterpret_cast<const char*>(values.data()),
                          values.size() * sizeof(double));
  std::vector<double> total(values.size(), 0.0);
  std::vector<double> one(values.size());
  for (const std::string& gathered : all_gather(bytes)) {
    DBPS_CHECK(gathered.size() == bytes.size(), "ranks sum unequal numbers of values");
    std::memcpy(one.data(), gathered.data(), gathered.size());
    for (size_t i = 0; i < total.size(); ++i) total[i] += one[i];
  }
  return total;
}

std::unique_ptr<Heartbeats> MpiWorld::make_heartbeats() {
  return std::make_unique<MpiHeartbeats>(heartbeats_);
}

void MpiWorld::abort(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

}  // namespace dbps::distributed

#include "distributed/mpi_collectives.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "distributed/mpi_sum.h"

namespace dbps::distributed {

namespace {

constexpr int kNoRoot = -1;
constexpr int kTags = 1 << 14;  // MPI promises numbers below 32768; a sum takes two

// One reduction or broadcast. Written by the caller before it is queued, by the communication
// thread until `done`, and read by the caller afterwards.
struct Job {
  at::Tensor host;                  // contiguous, on the CPU
  int root = kNoRoot;               // a broadcast when not kNoRoot
  std::optional<c10::Event> ready;  // host holds the values; only for a GPU's tensor
  std::optional<SumOverRanks> sum;
  std::vector<MPI_Request> requests;  // of a broadcast

  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::exception_ptr failure;

  void finish(std::exception_ptr with) {
    const std::scoped_lock lock(mutex);
    done = true;
    failure = std::move(with);
    changed.notify_all();
  }

  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done; });
    if (failure) std::rethrow_exception(failure);
  }

  void start(MPI_Comm communicator, int tag) {
    if (root == kNoRoot) {
      sum.emplace(host, communicator, tag);
      return;
    }
    const auto bytes = static_cast<int64_t>(host.nbytes());
    for (int64_t begin = 0; begin < bytes; begin += kMostElements) {
      const int count = static_cast<int>(std::min(kMostElements, bytes - begin));
      DBPS_MPI(MPI_Ibcast(static_cast<char*>(host.data_ptr()) + begin, count, MPI_BYTE, root,
                          communicator, &requests.emplace_back()));
    }
  }

  bool test() {
    if (sum) return sum->test();
    int complete = 0;
    DBPS_MPI(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &complete,
                         MPI_STATUSES_IGNORE));
    return complete != 0;
  }
};

class MpiWork final : public Work {
 public:
  MpiWork(std::shared_ptr<Job> job, at::Tensor tensor)
      : job_(std::move(job)), tensor_(std::move(tensor)) {}

  void wait() override {
    job_->wait();
    if (!tensor_.is_cpu()) tensor_.copy_(job_->host, /*non_blocking=*/true);
  }

 private:
  std::shared_ptr<Job> job_;
  at::Tensor tensor_;
};

}  // namespace

struct MpiCollectives::State {
  explicit State(MPI_Comm over) : communicator(over) {
    DBPS_MPI(MPI_Comm_rank(over, &rank));
    DBPS_MPI(MPI_Comm_size(over, &size));
    thread = std::thread([this] { run(); });
  }

  ~State() {
    {
      const std::scoped_lock lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    thread.join();
    MPI_Comm_free(&communicator);
  }

  std::shared_ptr<Job> submit(const at::Tensor& tensor, int root);
  void run();
  void poll();
  bool start_what_is_ready();

  MPI_Comm communicator;
  int rank = 0;
  int size = 1;
  std::optional<c10::Stream> side;  // for copies from the GPU

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<Job>> queue;  // guarded by mutex; started in this order
  bool stopping = false;                   // guarded by mutex
  std::exception_ptr broken;               // guarded by mutex; set once

  std::list<std::shared_ptr<Job>> flying;  // the thread's own, as is what follows
  int next_tag = 0;
  std::thread thread;  // last: it uses what stands above
};

std::shared_ptr<Job> MpiCollectives::State::submit(const at::Tensor& tensor, int root) {
  DBPS_CHECK(tensor.is_contiguous(), "only contiguous tensors can be reduced");
  auto job = std::make_shared<Job>();
  job->root = root;
  if (tensor.is_cpu()) {
    job->host = tensor.detach();
  } else {
    const at::Device device = tensor.device();
    const c10::impl::VirtualGuardImpl guard(device.type());
    if (!side) side = guard.getStreamFromGlobalPool(device);
    c10::Event filled(device.type());
    filled.record(guard.getStream(device));
    filled.block(*side);
    const c10::StreamGuard on_side(*side);
    job->host = at::empty(tensor.sizes(), tensor.options().device(at::kCPU).pinned_memory(true));
    job->host.copy_(tensor.detach(), /*non_blocking=*/true);
    job->ready.emplace(device.type());
    job->ready->record(*side);
  }
  {
    const std::scoped_lock lock(mutex);
    if (broken) std::rethrow_exception(broken);
    queue.push_back(job);
  }
  changed.notify_one();
  return job;
}

// Returns whether something was started.
bool MpiCollectives::State::start_what_is_ready() {
  bool started = false;
  for (;;) {
    std::shared_ptr<Job> job;
    {
      const std::scoped_lock lock(mutex);
      if (queue.empty() || (queue.front()->ready && !queue.front()->ready->query())) {
        return started;
      }
      job = std::move(queue.front());
      queue.pop_front();
    }
    flying.push_back(job);
    job->start(communicator, next_tag);
    next_tag = (next_tag + 2) % kTags;
    started = true;
  }
}

// Polls until nothing is left. A reduction moves by one step a test, so tests come in bursts while
// it moves; between bursts the core belongs to whoever computes.
void MpiCollectives::State::poll() {
  using std::chrono::microseconds;
  constexpr int kBurst = 64;
  constexpr microseconds kShortest{10};
  constexpr microseconds kLongest{200};
  microseconds pause = kShortest;
  for (;;) {
    bool moved = start_what_is_ready();
    for (int i = 0; i < kBurst; ++i) {
      for (auto it = flying.begin(); it != flying.end();) {
        if ((*it)->test()) {
          (*it)->finish(nullptr);
          it = flying.erase(it);
          moved = true;
        } else {
          ++it;
        }
      }
    }
    {
      const std::scoped_lock lock(mutex);
      if (stopping || (flying.empty() && queue.empty())) return;
    }
    pause = moved ? kShortest : std::min(pause * 2, kLongest);
    std::this_thread::sleep_for(pause);
  }
}

void MpiCollectives::State::run() {
  try {
    for (;;) {
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return stopping || !queue.empty(); });
        if (stopping) return;
      }
      poll();
    }
  } catch (...) {
    const std::exception_ptr failure = std::current_exception();
    const std::scoped_lock lock(mutex);
    broken = failure;
    for (const auto& job : flying) job->finish(failure);
    for (const auto& job : queue) job->finish(failure);
    queue.clear();
  }
}

MpiCollectives::MpiCollectives(MpiWorld& world, int size)
    : state_(std::make_unique<State>(world.split(world.rank() / size))) {}

MpiCollectives::~MpiCollectives() = default;

int MpiCollectives::rank() const { return state_->rank; }
int MpiCollectives::size() const { return state_->size; }

std::unique_ptr<Work> MpiCollectives::all_reduce(at::Tensor tensor) {
  require_summable(tensor);  // an unsupported type is the caller's error, not the thread's
  auto job = state_->submit(tensor, kNoRoot);
  return std::make_unique<MpiWork>(std::move(job), std::move(tensor));
}

void MpiCollectives::broadcast(at::Tensor tensor, int root) {
  const at::Tensor values = tensor.detach().contiguous();
  MpiWork(state_->submit(values, root), values).wait();
  if (!values.is_alias_of(tensor)) tensor.detach().copy_(values);
}

}  // namespace dbps::distributed

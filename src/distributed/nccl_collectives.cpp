#include "distributed/nccl_collectives.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <fmt/format.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "base/error.h"

#define DBPS_NCCL_CALL(call) check_nccl((call), #call)

namespace dbps::distributed {

namespace {

void check_nccl(ncclResult_t status, const char* call) {
  if (status == ncclSuccess) return;
  const std::string name(call, std::strcspn(call, "("));
  throw RuntimeFault(fmt::format("{} failed: {} ({}); NCCL_DEBUG=INFO tells more", name,
                                 ncclGetErrorString(status), ncclGetLastError(nullptr)));
}

ncclDataType_t datatype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kLong:
      return ncclInt64;
    case at::kBFloat16:
      return ncclBfloat16;
    default:
      break;
  }
  throw Error(ExitCode::kInternal, fmt::format("cannot reduce tensors of type {} over NCCL",
                                               at::toString(tensor.scalar_type())));
}

}  // namespace

struct NcclCollectives::State {
  State(at::Device on, double deadline)
      : device(on),
        stream(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, on.index())),
        deadline_seconds(deadline) {}

  // After a failure even ncclCommAbort can hang; the process is about to end and takes it along.
  ~State() {
    if (communicator != nullptr && !failed) ncclCommDestroy(communicator);
  }

  at::Device device;
  c10::cuda::CUDAStream stream;
  double deadline_seconds;
  int rank = 0;
  int size = 1;
  ncclComm_t communicator = nullptr;
  bool failed = false;
};

namespace {

template <typename State>
class NcclWork final : public Work {
 public:
  // Runs `call` on the communicator's stream once the current stream has filled the tensor.
  template <typename Call>
  NcclWork(std::shared_ptr<State> state, at::Tensor tensor, const Call& call)
      : state_(std::move(state)), tensor_(std::move(tensor)), done_(at::kCUDA) {
    DBPS_CHECK(tensor_.is_contiguous() && tensor_.device() == state_->device,
               "only contiguous tensors of this rank's GPU can be reduced");
    const c10::cuda::CUDAGuard guard(state_->device);
    c10::Event filled(at::kCUDA);
    filled.record(c10::cuda::getCurrentCUDAStream());
    filled.block(state_->stream);
    call(tensor_, *state_);
    done_.record(state_->stream);
  }

  // Waits on the host: a failed or missing rank shows only there.
  void wait() override {
    using std::chrono::microseconds;
    using std::chrono::steady_clock;
    const auto start = steady_clock::now();
    for (microseconds pause{20}; !done_.query(); pause = std::min(pause * 2, microseconds{200})) {
      ncclResult_t status = ncclSuccess;
      DBPS_NCCL_CALL(ncclCommGetAsyncError(state_->communicator, &status));
      const std::chrono::duration<double> waited = steady_clock::now() - start;
      state_->failed = status != ncclSuccess || waited.count() > state_->deadline_seconds;
      check_nccl(status, "a reduction");
      if (state_->failed) {
        throw RuntimeFault(
            fmt::format("a reduction did not end within distributed.deadline_seconds = {}",
                        state_->deadline_seconds));
      }
      std::this_thread::sleep_for(pause);
    }
  }

 private:
  std::shared_ptr<State> state_;
  at::Tensor tensor_;
  c10::Event done_;
};

}  // namespace

NcclCollectives::NcclCollectives(World& world, int size, at::Device device, double deadline_seconds)
    : state_(std::make_shared<State>(device, deadline_seconds)) {
  const c10::cuda::CUDAGuard guard(device);
  state_->rank = world.rank() % size;
  state_->size = size;
  ncclUniqueId id{};
  all_or_none(world, "NCCL", [&] {
    if (state_->rank == 0) DBPS_NCCL_CALL(ncclGetUniqueId(&id));
  });
  const std::string own(id.internal, sizeof(id.internal));
  const std::string first = world.all_gather(own)[world.rank() - state_->rank];
  std::memcpy(id.internal, first.data(), sizeof(id.internal));
  DBPS_NCCL_CALL(ncclCommInitRank(&state_->communicator, size, id, state_->rank));
}

NcclCollectives::~NcclCollectives() = default;

int NcclCollectives::rank() const { return state_->rank; }
int NcclCollectives::size() const { return state_->size; }
at::Device NcclCollectives::device_for(const at::Tensor&) const { return state_->device; }

std::unique_ptr<Work> NcclCollectives::all_reduce(at::Tensor tensor) {
  const auto call = [](const at::Tensor& values, State& state) {
    DBPS_NCCL_CALL(ncclAllReduce(values.data_ptr(), values.data_ptr(),
                                 static_cast<size_t>(values.numel()), datatype_of(values), ncclSum,
                                 state.communicator, state.stream.stream()));
  };
  return std::make_unique<NcclWork<State>>(state_, std::move(tensor), call);
}

void NcclCollectives::broadcast(at::Tensor tensor, int root) {
  const auto call = [root](const at::Tensor& values, State& state) {
    DBPS_NCCL_CALL(ncclBroadcast(values.data_ptr(), values.data_ptr(), values.nbytes(), ncclUint8,
                                 root, state.communicator, state.stream.stream()));
  };
  const at::Tensor values = tensor.detach().contiguous();
  NcclWork<State>(state_, values, call).wait();
  if (!values.is_alias_of(tensor)) tensor.detach().copy_(values);
}

}  // namespace dbps::distributed

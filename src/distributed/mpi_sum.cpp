#include "distributed/mpi_sum.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"

namespace dbps::distributed {
namespace {

template <typename T>
void add(const char* from, char* to, int64_t count) {
  const T* values = reinterpret_cast<const T*>(from);
  T* sums = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < count; ++i) sums[i] = sums[i] + values[i];
}

using Add = void (*)(const char* from, char* to, int64_t count);

Add adding(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return add<float>;
    case at::kDouble:
      return add<double>;
    case at::kLong:
      return add<int64_t>;
    case at::kBFloat16:
      return add<c10::BFloat16>;
    default:
      return nullptr;
  }
}

}  // namespace

void require_summable(const at::Tensor& tensor) {
  if (adding(tensor) != nullptr) return;
  throw Error(ExitCode::kInternal, fmt::format("cannot reduce tensors of type {} over MPI",
                                               at::toString(tensor.scalar_type())));
}

SumOverRanks::SumOverRanks(at::Tensor values, MPI_Comm communicator, int tag)
    : values_(std::move(values)), communicator_(communicator), tag_(tag) {
  DBPS_MPI(MPI_Comm_rank(communicator_, &rank_));
  DBPS_MPI(MPI_Comm_size(communicator_, &size_));
  const Slice own = slice(rank_);
  received_ = at::empty({size_ - 1, own.count}, values_.options());
  for (int other = 0; other < size_; ++other) {
    if (other == rank_) continue;
    receive(received(other), own.count, other, tag_);
    send(slice(other), other, tag_);
  }
}

SumOverRanks::Slice SumOverRanks::slice(int rank) const {
  const auto [first, last] = share_of(values_.numel(), rank, size_);
  return {first, last - first};
}

char* SumOverRanks::place(int64_t element) const {
  return static_cast<char*>(values_.data_ptr()) +
         element * static_cast<int64_t>(values_.element_size());
}

char* SumOverRanks::received(int from) const {
  const int64_t row = from < rank_ ? from : from - 1;
  return static_cast<char*>(received_.data_ptr()) +
         row * received_.size(1) * static_cast<int64_t>(received_.element_size());
}

void SumOverRanks::send(const Slice& slice, int to, int tag) {
  const auto size = static_cast<int64_t>(values_.element_size());
  for (int64_t begin = 0; begin < slice.count * size; begin += kMostElements) {
    const auto bytes = static_cast<int>(std::min(kMostElements, slice.count * size - begin));
    DBPS_MPI(MPI_Isend(place(slice.first) + begin, bytes, MPI_BYTE, to, tag, communicator_,
                       &requests_.emplace_back()));
  }
}

void SumOverRanks::receive(char* into, int64_t count, int from, int tag) {
  const auto size = static_cast<int64_t>(values_.element_size());
  for (int64_t begin = 0; begin < count * size; begin += kMostElements) {
    const auto bytes = static_cast<int>(std::min(kMostElements, count * size - begin));
    DBPS_MPI(MPI_Irecv(into + begin, bytes, MPI_BYTE, from, tag, communicator_,
                       &requests_.emplace_back()));
  }
}

void SumOverRanks::add_up() {
  const Slice own = slice(rank_);
  const Add add_to = adding(values_);
  char* const sums = rank_ == 0 ? place(own.first) : received(0);
  for (int other = 1; other < size_; ++other) {
    add_to(other == rank_ ? place(own.first) : received(other), sums, own.count);
  }
  const auto size = static_cast<int64_t>(values_.element_size());
  if (rank_ != 0) std::copy_n(sums, own.count * size, place(own.first));
}

bool SumOverRanks::test() {
  int complete = 0;
  DBPS_MPI(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &complete,
                       MPI_STATUSES_IGNORE));
  if (complete == 0) return false;
  if (gathering_ || size_ == 1) return true;
  gathering_ = true;
  requests_.clear();
  add_up();
  for (int other = 0; other < size_; ++other) {
    if (other == rank_) continue;
    const Slice theirs = slice(other);
    receive(place(theirs.first), theirs.count, other, tag_ + 1);
    send(slice(rank_), other, tag_ + 1);
  }
  return false;
}

}  // namespace dbps::distributed

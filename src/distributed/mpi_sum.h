// The sum of a tensor over ranks, slice by slice. Private to the room.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "distributed/mpi_world.h"

namespace dbps::distributed {

// Throws Error(70) for a type that cannot be summed: fp32, fp64, int64 and bf16 can.
void require_summable(const at::Tensor& tensor);

// Each rank is sent its slice of the values by all others, adds them up in the order of the ranks,
// and sends the sum to all: as many bytes as a ring, and sums that do not depend on timing. A
// message between ranks of a host moves in one call, so that few polls complete it; those of
// MPI_Iallreduce move piece by piece, one a poll. Collective: every rank starts the same sums in
// the same order. For one thread.
class SumOverRanks {
 public:
  // Starts. `values` is contiguous, on the CPU, and belongs to the sum until it is done. Messages
  // are numbered `tag` and `tag` + 1, which no other sum under way may use.
  SumOverRanks(at::Tensor values, MPI_Comm communicator, int tag);

  // Goes on as far as it can without waiting; returns whether `values` hold the sums.
  bool test();

 private:
  struct Slice {
    int64_t first = 0;
    int64_t count = 0;
  };
  Slice slice(int rank) const;
  char* place(int64_t element) const;  // of `values`
  char* received(int from) const;      // its values of this rank's slice
  void send(const Slice& slice, int to, int tag);
  void receive(char* into, int64_t count, int from, int tag);
  void add_up();

  at::Tensor values_;
  MPI_Comm communicator_;
  int tag_;
  int rank_ = 0;
  int size_ = 1;
  at::Tensor received_;  // (ranks - 1, this rank's slice)
  bool gathering_ = false;
  std::vector<MPI_Request> requests_;
};

}  // namespace dbps::distributed

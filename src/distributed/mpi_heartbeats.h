// Heartbeats as small MPI messages. Private to the room.
#pragma once

#include <mpi.h>

#include <vector>

#include "distributed/heartbeats.h"

namespace dbps::distributed {

// Borrows the communicator, which nothing else uses while this lives.
class MpiHeartbeats final : public Heartbeats {
 public:
  explicit MpiHeartbeats(MPI_Comm communicator);
  ~MpiHeartbeats() override;
  MpiHeartbeats(const MpiHeartbeats&) = delete;
  MpiHeartbeats& operator=(const MpiHeartbeats&) = delete;

  void send(const Heartbeat& mine) override;
  std::vector<Heartbeat> receive() override;
  int world_size() const override { return static_cast<int>(outgoing_.size()); }

 private:
  struct Message {
    double silent_seconds;
    int waiting;
    char phase[28];
    char host[64];
  };
  struct Outgoing {
    Message message;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  MPI_Comm communicator_;
  int rank_ = 0;
  std::vector<Outgoing> outgoing_;  // a rank
};

// Takes what has come and was not asked for, so that MPI can be left.
void drop_heartbeats(MPI_Comm communicator);

}  // namespace dbps::distributed

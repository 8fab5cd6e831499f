#include "distributed/mpi_heartbeats.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "distributed/mpi_world.h"

namespace dbps::distributed {
namespace {

constexpr int kTag = 1;

template <size_t size>
void copy_text(const std::string& text, char (&into)[size]) {
  const size_t length = std::min(text.size(), size - 1);
  std::memcpy(into, text.data(), length);
  into[length] = '\0';
}

// The rank whose message has come, if one has.
std::optional<int> sender(MPI_Comm communicator) {
  int there = 0;
  MPI_Status status;
  DBPS_MPI(MPI_Iprobe(MPI_ANY_SOURCE, kTag, communicator, &there, &status));
  return there != 0 ? std::optional<int>(status.MPI_SOURCE) : std::nullopt;
}

}  // namespace

MpiHeartbeats::MpiHeartbeats(MPI_Comm communicator) : communicator_(communicator) {
  int size = 1;
  DBPS_MPI(MPI_Comm_rank(communicator_, &rank_));
  DBPS_MPI(MPI_Comm_size(communicator_, &size));
  outgoing_.resize(static_cast<size_t>(size));
}

MpiHeartbeats::~MpiHeartbeats() {
  for (Outgoing& outgoing : outgoing_) {
    if (outgoing.request != MPI_REQUEST_NULL) MPI_Request_free(&outgoing.request);
  }
}

void MpiHeartbeats::send(const Heartbeat& mine) {
  for (size_t to = 0; to < outgoing_.size(); ++to) {
    if (static_cast<int>(to) == rank_) continue;
    Outgoing& outgoing = outgoing_[to];
    int done = 0;
    DBPS_MPI(MPI_Test(&outgoing.request, &done, MPI_STATUS_IGNORE));
    if (done == 0) continue;  // it has not taken the last one yet
    outgoing.message = {};
    outgoing.message.silent_seconds = mine.silent_seconds;
    outgoing.message.waiting = mine.waiting ? 1 : 0;
    copy_text(mine.phase, outgoing.message.phase);
    copy_text(mine.host, outgoing.message.host);
    DBPS_MPI(MPI_Isend(&outgoing.message, sizeof(Message), MPI_BYTE, static_cast<int>(to), kTag,
                       communicator_, &outgoing.request));
  }
}

std::vector<Heartbeat> MpiHeartbeats::receive() {
  std::vector<Heartbeat> heard;
  while (const std::optional<int> from = sender(communicator_)) {
    Message message;
    DBPS_MPI(MPI_Recv(&message, sizeof message, MPI_BYTE, *from, kTag, communicator_,
                      MPI_STATUS_IGNORE));
    heard.push_back(
        {*from, message.host, message.phase, message.silent_seconds, message.waiting != 0});
  }
  return heard;
}

void drop_heartbeats(MPI_Comm communicator) { MpiHeartbeats(communicator).receive(); }

}  // namespace dbps::distributed

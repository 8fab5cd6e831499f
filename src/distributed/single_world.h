// One process, started by no launcher; never touches MPI. Private to the room.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "distributed/host.h"
#include "distributed/world.h"

namespace dbps::distributed {

class SingleWorld final : public World {
 public:
  SingleWorld() : host_(host_name()) {}
  int rank() const override { return 0; }
  int world_size() const override { return 1; }
  int local_rank() const override { return 0; }
  int local_size() const override { return 1; }
  int node() const override { return 0; }
  int num_nodes() const override { return 1; }
  const std::string& host() const override { return host_; }

  void barrier() override {}
  std::string broadcast(const std::string& bytes, int) override { return bytes; }
  std::vector<std::string> all_gather(const std::string& bytes) override { return {bytes}; }
  int64_t max(int64_t value) override { return value; }
  std::vector<double> sum(const std::vector<double>& values) override { return values; }
  [[noreturn]] void abort(int code) override { std::_Exit(code); }

 private:
  std::string host_;
};

}  // namespace dbps::distributed

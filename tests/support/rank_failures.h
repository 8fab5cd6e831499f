// What the ranks of a test over MPI print: the first one all, the others what failed.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace dbps {

class RankFailures final : public testing::EmptyTestEventListener {
 public:
  explicit RankFailures(int rank) : rank_(rank) {}

 private:
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.failed()) {
      fmt::print(stderr, "rank {}: {}:{}: {}\n", rank_, result.file_name(), result.line_number(),
                 result.message());
    }
  }

  const int rank_;
};

// Before RUN_ALL_TESTS(): nothing changes on rank 0.
inline void print_failures_alone(int rank) {
  if (rank == 0) return;
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new RankFailures(rank));
}

}  // namespace dbps

// Collectives between simulated ranks (threads of one process) that complete late and out of order.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "distributed/collectives.h"

namespace dbps::distributed {

// Reductions are matched by the order in which each rank starts them. A thread of its own takes any
// one that all ranks have started, waits a little, adds in rank order and writes to every rank: a
// tensor changed after its reduction started gives a wrong sum.
class FakeNetwork {
 public:
  FakeNetwork(int world_size, uint64_t seed)
      : world_size_(world_size), random_(seed), thread_([this] { deliver(); }) {}

  ~FakeNetwork() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  int world_size() const { return world_size_; }

  size_t start(size_t sequence, int rank, const at::Tensor& tensor) {
    const std::scoped_lock lock(mutex_);
    Slot& slot = slots_[sequence];
    slot.tensors.emplace(rank, tensor);
    changed_.notify_all();
    return sequence;
  }

  void wait(size_t sequence) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return slots_[sequence].done; });
  }

 private:
  struct Slot {
    std::map<int, at::Tensor> tensors;  // by rank
    bool done = false;
  };

  std::vector<size_t> complete() const {
    std::vector<size_t> result;
    for (const auto& [sequence, slot] : slots_) {
      if (!slot.done && static_cast<int>(slot.tensors.size()) == world_size_) {
        result.push_back(sequence);
      }
    }
    return result;
  }

  void deliver() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stopping_ || !complete().empty(); });
      if (stopping_) return;
      lock.unlock();
      std::this_thread::sleep_for(std::chrono::microseconds(random_() % 500));
      lock.lock();
      const std::vector<size_t> choices = complete();
      Slot& slot = slots_[choices[random_() % choices.size()]];
      at::Tensor sum = at::zeros_like(slot.tensors.at(0));
      for (const auto& [rank, tensor] : slot.tensors) sum += tensor;
      for (auto& [rank, tensor] : slot.tensors) tensor.copy_(sum);
      slot.done = true;
      changed_.notify_all();
    }
  }

  const int world_size_;
  std::mt19937_64 random_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<size_t, Slot> slots_;
  bool stopping_ = false;
  std::thread thread_;
};

class FakeCollectives final : public Collectives {
 public:
  FakeCollectives(FakeNetwork& network, int rank) : network_(network), rank_(rank) {}

  std::unique_ptr<Work> all_reduce(at::Tensor tensor) override {
    return std::make_unique<FakeWork>(network_, network_.start(num_started_++, rank_, tensor));
  }
  void broadcast(at::Tensor tensor, int root) override {
    if (rank_ != root) tensor.zero_();
    all_reduce(tensor)->wait();
  }
  int rank() const override { return rank_; }
  int size() const override { return network_.world_size(); }
  const char* name() const override { return "fake"; }
  size_t num_started() const { return num_started_; }

 private:
  class FakeWork final : public Work {
   public:
    FakeWork(FakeNetwork& network, size_t sequence) : network_(network), sequence_(sequence) {}
    void wait() override { network_.wait(sequence_); }

   private:
    FakeNetwork& network_;
    size_t sequence_;
  };

  FakeNetwork& network_;
  int rank_;
  size_t num_started_ = 0;
};

}  // namespace dbps::distributed

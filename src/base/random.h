// Counter-based random numbers, owned by what they are for and not by who draws them.
//
// A stream is named by (seed, purpose, epoch, sample): any rank or thread that opens the same
// stream draws the same numbers, so a checkpoint stores no generator. Philox4x32-10 (Salmon et al.,
// 2011).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace dbps {

// The values are part of every run's results: add at the end, never renumber.
enum class Purpose : uint32_t {
  kOrder = 1,       // the order of pictures in an epoch
  kDrop = 2,        // patch drop
  kShuffle = 3,     // the order in which a bag's patches are scanned
  kAugment = 4,     // jitter, translation, flips
  kDropout = 5,     // dropout masks of a micro-batch
  kExplore = 6,     // Gumbel noise on selection scores
  kSplit = 7,       // train / validation split
  kInitialize = 8,  // initial weights
  kSelect = 9,      // random selection
  kDemo = 10,       // demo pictures
  kErase = 11,      // random erasing
};

class RandomStream {
 public:
  RandomStream(uint64_t seed, Purpose purpose, uint64_t epoch = 0, uint64_t sample = 0);

  uint32_t next_u32();
  uint64_t next_u64();
  double uniform();                         // [0, 1), 53 bits
  double uniform(double low, double high);  // [low, high)
  int64_t below(int64_t n);                 // 0 .. n-1 without bias; n >= 1
  double normal();                          // mean 0, standard deviation 1
  double gumbel();                          // -log(-log(u)), u in (0, 1)

  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[static_cast<size_t>(below(static_cast<int64_t>(i)))]);
    }
  }
  std::vector<int64_t> permutation(int64_t n);
  // k of 0 .. n-1 without replacement, in ascending order; 0 <= k <= n.
  std::vector<int64_t> choose(int64_t n, int64_t k);

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_;
  int used_ = 4;
};

// A 64-bit hash of a string that is the same on every machine: turns ids into samples.
uint64_t stable_hash(const char* data, size_t size);

}  // namespace dbps

#include "base/random.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace dbps {
namespace {

// Constants of Philox4x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3").
constexpr uint32_t kMultiplier0 = 0xD2511F53;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9;
constexpr uint32_t kWeyl1 = 0xBB67AE85;

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> x, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{kMultiplier0} * x[0];
    const uint64_t product1 = uint64_t{kMultiplier1} * x[2];
    x = {static_cast<uint32_t>(product1 >> 32) ^ x[1] ^ key[0], static_cast<uint32_t>(product1),
         static_cast<uint32_t>(product0 >> 32) ^ x[3] ^ key[1], static_cast<uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return x;
}

uint64_t mix(uint64_t x) {  // the finaliser of SplitMix64
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

}  // namespace

RandomStream::RandomStream(uint64_t seed, Purpose purpose, uint64_t epoch, uint64_t sample) {
  const uint64_t key = mix(seed ^ mix((uint64_t{static_cast<uint32_t>(purpose)} << 40) ^ epoch));
  key_ = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
  counter_ = {0, 0, static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32)};
}

uint32_t RandomStream::next_u32() {
  if (used_ == 4) {
    block_ = philox(counter_, key_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[used_++];
}

uint64_t RandomStream::next_u64() {
  const uint64_t low = next_u32();
  return low | (uint64_t{next_u32()} << 32);
}

double RandomStream::uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }

double RandomStream::uniform(double low, double high) { return low + (high - low) * uniform(); }

int64_t RandomStream::below(int64_t n) {
  DBPS_CHECK(n >= 1, "below() needs a positive bound");
  const uint64_t bound = static_cast<uint64_t>(n);
  uint64_t x = next_u64();
  // No x below that is too large: the limit needs not be known.
  if (x > ~uint64_t{0} - bound) {
    const uint64_t limit = ~uint64_t{0} - (~uint64_t{0} % bound + 1) % bound;
    while (x > limit) x = next_u64();
  }
  return static_cast<int64_t>(x % bound);
}

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * M_PI * uniform());
}

double RandomStream::gumbel() {
  const double u = (static_cast<double>(next_u64() >> 12) + 0.5) * 0x1.0p-52;
  return -std::log(-std::log(u));
}

std::vector<int64_t> RandomStream::permutation(int64_t n) {
  std::vector<int64_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  shuffle(values);
  return values;
}

std::vector<int64_t> RandomStream::choose(int64_t n, int64_t k) {
  DBPS_CHECK(0 <= k && k <= n, "choose() needs 0 <= k <= n");
  std::vector<int64_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  for (int64_t i = 0; i < k; ++i) std::swap(values[i], values[i + below(n - i)]);
  // Of most of a slide's tiles, sorting would take twice the time of all the rest.
  std::vector<char> is_chosen(static_cast<size_t>(n), 0);
  for (int64_t i = 0; i < k; ++i) is_chosen[values[i]] = 1;
  values.clear();
  for (int64_t i = 0; i < n; ++i) {
    if (is_chosen[i] != 0) values.push_back(i);
  }
  return values;
}

uint64_t stable_hash(const char* data, size_t size) {  // FNV-1a, then mixed
  uint64_t hash = 0xCBF29CE484222325ull;
  for (size_t i = 0; i < size; ++i) {
    hash = (hash ^ static_cast<unsigned char>(data[i])) * 0x100000001B3ull;
  }
  return mix(hash);
}

}  // namespace dbps

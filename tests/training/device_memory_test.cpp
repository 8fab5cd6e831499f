#include "training/device_memory.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace dbps::training {
namespace {

constexpr int64_t kMegabyte = 1 << 20;
constexpr int64_t kRounding = 1 << 15;  // malloc's, of a few large blocks

at::Tensor megabytes(int64_t n) { return at::zeros({n * kMegabyte / 4}, at::kFloat); }

class TensorBytes : public ::testing::Test {
 protected:
  // What `work` adds at its highest.
  template <typename Work>
  static int64_t peak_of(Work work) {
    begin_peak(at::kCPU);
    const int64_t before = peak_device_bytes(at::kCPU);
    work();
    return peak_device_bytes(at::kCPU) - before;
  }
  static void SetUpTestSuite() { count_tensor_bytes(at::kCPU); }
};

TEST_F(TensorBytes, AreThoseAliveAtOnce) {
  EXPECT_NEAR(peak_of([] {
                at::Tensor kept = megabytes(4);
                { const at::Tensor gone = megabytes(8); }
                const at::Tensor last = megabytes(2);
              }),
              12 * kMegabyte, kRounding);
  EXPECT_NEAR(peak_of([] { const at::Tensor again = megabytes(3); }), 3 * kMegabyte, kRounding);
}

TEST_F(TensorBytes, OfAKeptTensorCountIntoTheNextPeakUntilItIsGone) {
  at::Tensor kept = megabytes(5);
  EXPECT_NEAR(peak_of([&] {
                kept.reset();
                const at::Tensor other = megabytes(5);
              }),
              0, kRounding);
}

TEST_F(TensorBytes, OfAnotherThreadDoNotCountButFreeingThereDoes) {
  EXPECT_EQ(peak_of([] { std::thread([] { const at::Tensor t = megabytes(9); }).join(); }), 0);
  at::Tensor mine = megabytes(6);
  at::Tensor theirs;
  EXPECT_NEAR(peak_of([&] {
                std::thread([&] {
                  mine.reset();
                  theirs = megabytes(7);
                }).join();
                theirs.reset();
                const at::Tensor other = megabytes(6);
              }),
              0, kRounding);
}

// Three results live to the end of the expression; backward adds gradients as large.
TEST_F(TensorBytes, OfTheBackwardPassCount) {
  const int64_t side = 512;  // a megabyte each
  const at::Tensor x = at::rand({side, side}).requires_grad_();
  const int64_t inference = peak_of([&] {
    const c10::NoGradGuard no_gradient;
    (void)x.mul(2).exp().exp().sum();
  });
  const int64_t training = peak_of([&] { x.mul(2).exp().exp().sum().backward(); });
  EXPECT_NEAR(inference, 3 * kMegabyte, kRounding);
  EXPECT_GE(training, 4 * kMegabyte);
  EXPECT_LE(training, 7 * kMegabyte);
}

// Libraries below LibTorch take and give back memory of their own: nothing of it stays counted.
TEST_F(TensorBytes, ReturnToWhereTheyWere) {
  const at::Tensor x = at::rand({4, 16, 40, 40});
  const at::Tensor w = at::rand({32, 16, 3, 3});
  (void)at::conv2d(x, w);
  begin_peak(at::kCPU);
  const int64_t before = peak_device_bytes(at::kCPU);
  for (int i = 0; i < 5; ++i) (void)at::conv2d(x, w);
  begin_peak(at::kCPU);
  EXPECT_NEAR(peak_device_bytes(at::kCPU), before, kRounding);
}

TEST_F(TensorBytes, OfHelpersInAParallelRegionCountAndReturnToo) {
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  begin_peak(at::kCPU);
  const int64_t before = peak_device_bytes(at::kCPU);
  std::atomic<bool> helped = false;
  at::parallel_for(0, 2, 1, [&](int64_t, int64_t) {
    helped = helped || at::get_thread_num() > 0;
    void* raw = c10::GetAllocator(at::kCPU)->raw_allocate(4 * kMegabyte);
    c10::GetAllocator(at::kCPU)->raw_deallocate(raw);
  });
  EXPECT_TRUE(helped);
  EXPECT_GE(peak_device_bytes(at::kCPU), before + 4 * kMegabyte);
  begin_peak(at::kCPU);
  EXPECT_NEAR(peak_device_bytes(at::kCPU), before, kRounding);
  at::set_num_threads(threads);
}

}  // namespace
}  // namespace dbps::training

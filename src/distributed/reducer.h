// Gradients summed over ranks in buckets, while backward goes on.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "distributed/collectives.h"
#include "distributed/options.h"

namespace dbps::distributed {

// Owns one flat tensor a bucket; every parameter's grad() is a view into it. Buckets are filled in
// reverse order of `parameters` by autograd hooks and started in that fixed order.
//
//   reducer.zero();
//   for each micro-batch of this rank: reducer.expect_last(is last); loss.backward();
//   reducer.finish();          // starts what no hook started (no picture here), waits for all
//
// Losses are scaled to the global batch before backward, so the sum is the gradient of the mean.
// With compression fp32 buckets travel as bf16: every sum of two ranks is rounded to 8 bits.
// `extra` and buckets of other types travel as they are.
//
// To drop a step whose backward has begun, every rank still calls finish(), then zero().
// Not thread-safe; autograd's threads call its hooks one at a time a device.
class GradientReducer {
 public:
  // `extra`: tensors summed along with the gradients after the last bucket (BatchNorm sums,
  // counts). Borrows `collectives`. Collective in the sense that every rank passes the same shapes.
  GradientReducer(std::vector<std::pair<std::string, at::Tensor>> parameters,
                  Collectives& collectives, double bucket_mb, Compress compress = Compress::kNone);
  ~GradientReducer();

  void zero();                  // before a step
  void expect_last(bool last);  // whether the next backward is this rank's last of the step
  void finish(const std::vector<at::Tensor>& extra);  // collective
  double seconds_waited() const;                      // in the last finish()
  int64_t bytes() const;                              // of all buckets, on the wire
  int64_t num_buckets() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::distributed

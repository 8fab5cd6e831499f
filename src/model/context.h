// What a forward pass needs besides its input.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

namespace dbps::model {

// Batch statistics of the BatchNorm layers, summed over the micro-batches of a step (runtime.md:
// the micro-batch is the unit). One slot a layer, registered at construction of the model.
class BatchStatistics {
 public:
  // Called by a BatchNorm layer at construction; running tensors are the layer's buffers, (C).
  int64_t add_layer(at::Tensor running_mean, at::Tensor running_variance);
  // Called by a layer in a training forward: mean and unbiased variance of `count` values a
  // channel.
  void record(int64_t layer, const at::Tensor& mean, const at::Tensor& unbiased_variance,
              int64_t count);

  // All layers' (count * mean, count * variance, count), flat, for the reduction over ranks; the
  // same memory record() adds to. Undefined when there is no layer.
  at::Tensor sums() const { return sums_; }
  void reset();  // zeros, before a step's first micro-batch
  // running = (1 - momentum) running + momentum * sum / count, for layers with a count.
  void update_running(double momentum = 0.1);
  // Moves the sums to the device and type of the running tensors; call after the model moved.
  void allocate();

 private:
  struct Layer {
    at::Tensor running_mean;
    at::Tensor running_variance;
    int64_t start = 0;  // in sums_
  };
  std::vector<Layer> layers_;
  at::Tensor sums_;
};

// The ranks that share a micro-batch, each of which embeds some of its rows.
struct RowGroup {
  std::vector<int64_t> rows;  // a member
  int member = 0;             // of this rank
  // The sum of a tensor over the members, as a new one. Collective over them.
  std::function<at::Tensor(const at::Tensor&)> sum;

  int64_t own_rows() const { return rows[static_cast<size_t>(member)]; }
  int64_t first_row() const {  // of this rank's
    return std::accumulate(rows.begin(), rows.begin() + member, int64_t{0});
  }
  int64_t total_rows() const { return std::accumulate(rows.begin(), rows.end(), int64_t{0}); }
};

struct Forward {
  bool training = false;
  std::optional<at::Generator> generator;  // dropout; owned by (seed, step, micro-batch)
  BatchStatistics* statistics = nullptr;   // where training BatchNorm layers record; not owned
  // Whose rows training BatchNorm layers normalise together; null: this rank embeds all.
  std::shared_ptr<const RowGroup> group = nullptr;
  // What an encoder's convolutions compute in; none: the type of its weights.
  std::optional<at::ScalarType> compute_type;
};

}  // namespace dbps::model

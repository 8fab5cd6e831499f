// Embeddings of patches that are, or may still come, in an S-buffer, by row of the batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace dbps::selection {

// Keeps what it is told to on the scan's device; or, when only the end of the scan decides,
// everything in host memory, so that the device never holds a whole bag. Not thread-safe.
class KeptEmbeddings {
 public:
  // `num_rows` of the whole batch.
  KeptEmbeddings(int64_t num_rows, bool everything_on_host);

  void add(const at::Tensor& embeddings_nD, const std::vector<int64_t>& rows);
  // Lets go of all rows but these. No effect on the host.
  void retain(const std::vector<int64_t>& rows);
  bool holds(int64_t row) const { return slot_[row] >= 0; }
  // (rows, D) on the device they came from.
  at::Tensor take(const std::vector<int64_t>& rows) const;

 private:
  bool everything_on_host_;
  at::Tensor values_;
  std::vector<int64_t> slot_;  // of each row, in values_; -1: not there
  int64_t num_slots_ = 0;
  at::TensorOptions origin_;

  std::vector<int64_t> slots_of(const std::vector<int64_t>& rows) const;
};

}  // namespace dbps::selection

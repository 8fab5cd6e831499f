#include "selection/kept_embeddings.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace dbps::selection {
namespace {

at::Tensor index_on(const at::Device& device, const std::vector<int64_t>& indices) {
  return at::tensor(indices, at::kLong).to(device);
}

}  // namespace

KeptEmbeddings::KeptEmbeddings(int64_t num_rows, bool everything_on_host)
    : everything_on_host_(everything_on_host), slot_(static_cast<size_t>(num_rows), -1) {}

void KeptEmbeddings::add(const at::Tensor& embeddings_nD, const std::vector<int64_t>& rows) {
  origin_ = embeddings_nD.options();
  const auto n = static_cast<int64_t>(rows.size());
  if (everything_on_host_) {
    if (!values_.defined()) {
      values_ = at::empty({static_cast<int64_t>(slot_.size()), embeddings_nD.size(1)},
                          origin_.device(at::kCPU));
    }
    values_.narrow(0, num_slots_, n).copy_(embeddings_nD);
  } else {
    values_ = num_slots_ > 0 ? at::cat({values_, embeddings_nD}) : embeddings_nD;
  }
  for (const int64_t row : rows) slot_[row] = num_slots_++;
}

void KeptEmbeddings::retain(const std::vector<int64_t>& rows) {
  if (everything_on_host_ || !values_.defined()) return;
  values_ = values_.index_select(0, index_on(values_.device(), slots_of(rows)));
  std::fill(slot_.begin(), slot_.end(), -1);
  num_slots_ = 0;
  for (const int64_t row : rows) slot_[row] = num_slots_++;
}

at::Tensor KeptEmbeddings::take(const std::vector<int64_t>& rows) const {
  return values_.index_select(0, index_on(values_.device(), slots_of(rows))).to(origin_.device());
}

std::vector<int64_t> KeptEmbeddings::slots_of(const std::vector<int64_t>& rows) const {
  std::vector<int64_t> slots;
  slots.reserve(rows.size());
  for (const int64_t row : rows) {
    DBPS_CHECK(slot_[row] >= 0, "an embedding is asked for that was not kept");
    slots.push_back(slot_[row]);
  }
  return slots;
}

}  // namespace dbps::selection

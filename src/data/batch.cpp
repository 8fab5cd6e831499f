#include "data/batch.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "data/device_jitter.h"

namespace dbps::data {
namespace {

// Of each row, its entry in batch.jitter; empty when no entry changes a pixel.
std::vector<int64_t> index_jitter(const HostBatch& batch, int channels) {
  const bool changes =
      std::any_of(batch.jitter.begin(), batch.jitter.end(),
                  [&](const Jitter& jitter) { return !jitter.is_identity(channels); });
  if (!changes) return {};
  const int64_t rows = batch.pixels.size(0);
  std::vector<int64_t> index(static_cast<size_t>(rows));
  if (batch.jitter.size() == index.size()) {
    for (int64_t row = 0; row < rows; ++row) index[row] = row;
    return index;
  }
  DBPS_CHECK(batch.jitter.size() == batch.bags.size(), "one jitter a bag or one a patch");
  for (size_t bag = 0; bag < batch.bags.size(); ++bag) {
    std::fill(index.begin() + batch.offsets[bag], index.begin() + batch.offsets[bag + 1],
              static_cast<int64_t>(bag));
  }
  return index;
}

template <typename T>
void to_unit(const uint8_t* __restrict bytes, T* __restrict plane, int64_t count) {
  for (int64_t i = 0; i < count; ++i) plane[i] = static_cast<T>(bytes[i]) / T(255);
}

template <typename T>
void normalise(T mean, T std, T* plane, int64_t count) {
  for (int64_t i = 0; i < count; ++i) plane[i] = (plane[i] - mean) / std;
}

// Black where the patch reaches out of the picture: x0, y0, x1, y1 is the part to keep.
template <typename T>
void blacken_outside(T* plane, const int32_t* inside, int64_t width, int64_t height) {
  for (int64_t y = 0; y < height; ++y, plane += width) {
    const bool within = inside[1] <= y && y < inside[3];
    std::fill(plane, plane + (within ? inside[0] : width), T(0));
    std::fill(plane + (within ? inside[2] : width), plane + width, T(0));
  }
}

template <typename T>
void erase_part(T* plane, const int32_t* part, int64_t width) {
  for (int64_t y = part[1]; y < part[3]; ++y) {
    std::fill(plane + y * width + part[0], plane + y * width + part[2], T(0));
  }
}

}  // namespace

DevicePatches::DevicePatches(const HostBatch& batch, std::vector<double> mean,
                             std::vector<double> std, at::Device device, at::ScalarType dtype,
                             int64_t device_bytes)
    : batch_(batch),
      mean_(std::move(mean)),
      std_(std::move(std)),
      device_(device),
      dtype_(dtype),
      pixels_(batch.pixels) {
  if (!holds_vectors()) {
    const auto channels = static_cast<size_t>(batch.pixels.size(1));
    if (mean_.size() != channels || std_.size() != channels) {
      throw ConfigError(fmt::format(
          "data.mean and data.std have {} and {} values; pictures of {} channel{} need as many",
          mean_.size(), std_.size(), channels, channels == 1 ? "" : "s"));
    }
    jitter_index_ = index_jitter(batch, static_cast<int>(channels));
  }
  const auto bytes = static_cast<int64_t>(pixels_.nbytes());
  if (!device.is_cpu() && (device_bytes == 0 || bytes <= device_bytes)) {
    pixels_ = pixels_.to(device, /*non_blocking=*/true);
  }
}

at::Tensor DevicePatches::gather(const std::vector<int64_t>& rows) const {
  if (holds_vectors()) return gather_vectors(rows);
  if (!device_.is_cpu()) return gather_on_device(rows);
  if (dtype_ == at::kDouble) return gather_on_host<double>(rows);
  return gather_on_host<float>(rows).to(dtype_);
}

// A patch passes through the cache once, while as tensor operations each step would pass over all.
template <typename T>
at::Tensor DevicePatches::gather_on_host(const std::vector<int64_t>& rows) const {
  const auto n = static_cast<int64_t>(rows.size());
  const int channels = static_cast<int>(pixels_.size(1));
  const int64_t height = pixels_.size(2);
  const int64_t width = pixels_.size(3);
  const int64_t plane = height * width;
  at::Tensor patches = at::empty({n, channels, height, width}, at::CppTypeToScalarType<T>::value);
  T* target = patches.data_ptr<T>();
  const uint8_t* source = pixels_.const_data_ptr<uint8_t>();
  const int32_t* inside = batch_.inside.const_data_ptr<int32_t>();
  const int32_t* erased =
      batch_.erased.defined() ? batch_.erased.const_data_ptr<int32_t>() : nullptr;
  at::parallel_for(0, n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint8_t* bytes = source + rows[i] * channels * plane;
      std::array<T*, 3> planes = {};
      for (int c = 0; c < channels; ++c) {
        planes[c] = target + (i * channels + c) * plane;
        to_unit(bytes + c * plane, planes[c], plane);
      }
      if (!jitter_index_.empty()) {
        apply_jitter(jitter_of(rows[i]), planes, channels, plane);
        for (int c = 0; c < channels; ++c) {
          blacken_outside(planes[c], inside + 4 * rows[i], width, height);
        }
      }
      for (int c = 0; c < channels; ++c) {
        normalise(static_cast<T>(mean_[c]), static_cast<T>(std_[c]), planes[c], plane);
        if (erased != nullptr) erase_part(planes[c], erased + 4 * rows[i], width);
      }
    }
  });
  return patches;
}

at::Tensor DevicePatches::gather_vectors(const std::vector<int64_t>& rows) const {
  const at::Tensor index = at::tensor(rows, at::kLong).to(pixels_.device());
  return pixels_.index_select(0, index).to(device_, dtype_);
}

at::Tensor DevicePatches::gather_on_device(const std::vector<int64_t>& rows) const {
  const at::ScalarType compute = dtype_ == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor index = at::tensor(rows, at::kLong);
  at::Tensor patches = pixels_.index_select(0, index.to(pixels_.device())).to(device_);
  patches = patches.to(compute).div_(255);
  const auto options = patches.options();
  if (!jitter_index_.empty()) {
    std::vector<const Jitter*> jitter;
    for (const int64_t row : rows) jitter.push_back(&jitter_of(row));
    jitter_on_device(patches, jitter);
    const at::Tensor inside = batch_.inside.index_select(0, index).to(device_);
    patches.masked_fill_(lies_in(inside, patches).logical_not_(), 0);
  }
  const at::Tensor mean = at::tensor(mean_, at::kDouble).to(options).view({1, -1, 1, 1});
  const at::Tensor std = at::tensor(std_, at::kDouble).to(options).view({1, -1, 1, 1});
  patches.sub_(mean).div_(std);
  if (batch_.erased.defined()) {
    const at::Tensor erased = batch_.erased.index_select(0, index).to(device_);
    patches.masked_fill_(lies_in(erased, patches), 0);
  }
  return patches.to(dtype_);
}

}  // namespace dbps::data

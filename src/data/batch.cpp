#include "data/batch.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "data/device_jitter.h"
#include "data/packed_tiles.h"
#include "data/tile_stream.h"

namespace dbps::data {
namespace {

// Of each row, its entry in batch.jitter; empty when no entry changes a pixel.
std::vector<int64_t> index_jitter(const HostBatch& batch, int channels) {
  const bool changes =
      std::any_of(batch.jitter.begin(), batch.jitter.end(),
                  [&](const Jitter& jitter) { return !jitter.is_identity(channels); });
  if (!changes) return {};
  const int64_t rows = batch.offsets.back();
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

// Of each row its place in batch.pixels, which holds this rank's own vectors end to end; -1: not
// there.
std::vector<int64_t> slots_of(const HostBatch& batch) {
  std::vector<int64_t> slots(static_cast<size_t>(batch.offsets.back()), -1);
  const auto parts = batch.own_parts();
  int64_t next = 0;
  for (size_t bag = 0; bag < parts.size(); ++bag) {
    for (int64_t i = parts[bag].first; i < parts[bag].second; ++i) {
      slots[batch.offsets[bag] + i] = next++;
    }
  }
  return slots;
}

}  // namespace

std::pair<int64_t, int64_t> HostBatch::own_part(int64_t bag) const {
  return share.of(bags[bag].index, bags[bag].grid_columns * bags[bag].grid_rows);
}

std::vector<std::pair<int64_t, int64_t>> HostBatch::own_parts() const {
  std::vector<std::pair<int64_t, int64_t>> parts;
  for (int64_t bag = 0; bag < std::ssize(bags); ++bag) parts.push_back(own_part(bag));
  return parts;
}

void join(HostBatch& batch, const SumOverRanks& sum) {
  if (!batch.greys.defined()) return;
  const at::Tensor greys = sum(batch.greys).contiguous();
  for (size_t bag = 0; bag < batch.bags.size(); ++bag) {
    const auto sampled =
        std::min<int64_t>(greys.size(1), batch.offsets[bag + 1] - batch.offsets[bag]);
    batch.jitter[bag].mean_grey =
        mean_of({greys[bag].const_data_ptr<double>(), static_cast<size_t>(sampled)});
  }
}

// What one gather() works on.
struct DevicePatches::Part {
  std::vector<int64_t> rows;   // of the batch
  at::Tensor pixels;           // holds them, and perhaps others
  std::vector<int64_t> slots;  // of each row, its place in `pixels`
  std::vector<Jitter> jitter;  // a row; empty: no colour changes
};

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
    const auto channels =
        static_cast<size_t>(batch.tiles ? batch.tiles->reader().channels() : pixels_.size(1));
    if (mean_.size() != channels || std_.size() != channels) {
      throw ConfigError(fmt::format(
          "data.mean and data.std have {} and {} values; pictures of {} channel{} need as many",
          mean_.size(), std_.size(), channels, channels == 1 ? "" : "s"));
    }
    jitter_index_ = index_jitter(batch, static_cast<int>(channels));
  } else {
    slots_ = slots_of(batch);
  }
  if (!pixels_.defined() || device.is_cpu()) return;
  if (device_bytes == 0 || static_cast<int64_t>(pixels_.nbytes()) <= device_bytes) {
    pixels_ = pixels_.to(device, /*non_blocking=*/true);
  }
}

void DevicePatches::expect(const std::vector<std::vector<int64_t>>& gathers) const {
  if (batch_.tiles) batch_.tiles->expect(gathers);
}

int64_t DevicePatches::bytes_read() const {
  return batch_.bytes_read + (batch_.tiles ? batch_.tiles->bytes_read() : 0);
}

double DevicePatches::seconds_waited() const {
  return batch_.tiles ? batch_.tiles->seconds_waited() : 0.0;
}

at::Tensor DevicePatches::gather(const std::vector<int64_t>& rows) const {
  if (holds_vectors()) return vectors_of(rows).to(device_, dtype_);
  return finish(part_of(rows, batch_.tiles ? batch_.tiles->gather(rows) : Tiles{}));
}

bool DevicePatches::holds_own_part() const {
  return batch_.share.members > 1 && (holds_vectors() || batch_.share.apart);
}

at::Tensor DevicePatches::gather_together(const std::vector<int64_t>& rows, int64_t first,
                                          int64_t count, const SumOverRanks& sum) const {
  DBPS_CHECK(holds_own_part(), "rows that this rank can read itself");
  const std::vector<std::pair<int64_t, int64_t>> parts = batch_.own_parts();
  std::vector<int64_t> own;
  std::vector<int64_t> places;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto above = std::upper_bound(batch_.offsets.begin(), batch_.offsets.end(), rows[i]);
    const size_t bag = above - batch_.offsets.begin() - 1;
    const int64_t in_bag = rows[i] - batch_.offsets[bag];
    if (in_bag < parts[bag].first || in_bag >= parts[bag].second) continue;
    own.push_back(rows[i]);
    places.push_back(static_cast<int64_t>(i));
  }
  const Tiles read = holds_vectors() ? Tiles{vectors_of(own), {}} : batch_.tiles->gather(own);
  const bool greys = batch_.tiles && batch_.tiles->reader().grey_of_tiles();
  const at::Tensor packed = pack(read, greys);
  at::Tensor words =
      at::zeros({static_cast<int64_t>(rows.size()), packed.size(1)}, packed.options());
  words.index_copy_(0, at::tensor(places, at::kLong).to(words.device()), packed);
  Tiles tiles = unpack(sum(words).narrow(0, first, count), read.pixels, greys);
  if (holds_vectors()) return tiles.pixels.to(device_, dtype_);
  const std::vector<int64_t> wanted(rows.begin() + first, rows.begin() + first + count);
  return finish(part_of(wanted, std::move(tiles)));
}

at::Tensor DevicePatches::finish(const Part& part) const {
  if (!device_.is_cpu()) return gather_on_device(part);
  if (dtype_ == at::kDouble) return gather_on_host<double>(part);
  return gather_on_host<float>(part).to(dtype_);
}

DevicePatches::Part DevicePatches::part_of(const std::vector<int64_t>& rows, Tiles tiles) const {
  Part part{rows, pixels_, rows, {}};
  if (!jitter_index_.empty()) {
    for (const int64_t row : rows) part.jitter.push_back(batch_.jitter[jitter_index_[row]]);
  }
  if (!batch_.tiles) return part;
  part.pixels = std::move(tiles.pixels);
  std::iota(part.slots.begin(), part.slots.end(), 0);
  if (part.jitter.empty()) return part;
  for (size_t i = 0; i < tiles.mean_grey.size(); ++i) part.jitter[i].mean_grey = tiles.mean_grey[i];
  return part;
}

// A patch passes through the cache once, while as tensor operations each step would pass over all.
template <typename T>
at::Tensor DevicePatches::gather_on_host(const Part& part) const {
  const auto n = static_cast<int64_t>(part.rows.size());
  const int channels = static_cast<int>(part.pixels.size(1));
  const int64_t height = part.pixels.size(2);
  const int64_t width = part.pixels.size(3);
  const int64_t plane = height * width;
  at::Tensor patches = at::empty({n, channels, height, width}, at::CppTypeToScalarType<T>::value);
  T* target = patches.data_ptr<T>();
  const uint8_t* source = part.pixels.const_data_ptr<uint8_t>();
  const int32_t* inside =
      batch_.inside.defined() ? batch_.inside.const_data_ptr<int32_t>() : nullptr;
  const int32_t* erased =
      batch_.erased.defined() ? batch_.erased.const_data_ptr<int32_t>() : nullptr;
  at::parallel_for(0, n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint8_t* bytes = source + part.slots[i] * channels * plane;
      std::array<T*, 3> planes = {};
      for (int c = 0; c < channels; ++c) {
        planes[c] = target + (i * channels + c) * plane;
        to_unit(bytes + c * plane, planes[c], plane);
      }
      if (!part.jitter.empty()) {
        apply_jitter(part.jitter[i], planes, channels, plane);
        for (int c = 0; c < channels && inside != nullptr; ++c) {
          blacken_outside(planes[c], inside + 4 * part.rows[i], width, height);
        }
      }
      for (int c = 0; c < channels; ++c) {
        normalise(static_cast<T>(mean_[c]), static_cast<T>(std_[c]), planes[c], plane);
        if (erased != nullptr) erase_part(planes[c], erased + 4 * part.rows[i], width);
      }
    }
  });
  return patches;
}

at::Tensor DevicePatches::vectors_of(const std::vector<int64_t>& rows) const {
  std::vector<int64_t> slots;
  slots.reserve(rows.size());
  for (const int64_t row : rows) {
    DBPS_CHECK(slots_[row] >= 0, "a vector that another rank holds");
    slots.push_back(slots_[row]);
  }
  return pixels_.index_select(0, at::tensor(slots, at::kLong).to(pixels_.device()));
}

at::Tensor DevicePatches::edges_of(const at::Tensor& edges,
                                   const std::vector<int64_t>& rows) const {
  return edges.index_select(0, at::tensor(rows, at::kLong)).to(device_);
}

at::Tensor DevicePatches::gather_on_device(const Part& part) const {
  const at::ScalarType compute = dtype_ == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor patches = part.pixels;
  if (!batch_.tiles) {
    patches = patches.index_select(0, at::tensor(part.slots, at::kLong).to(patches.device()));
  }
  patches = patches.to(device_, /*non_blocking=*/true).to(compute).div_(255);
  const auto options = patches.options();
  if (!part.jitter.empty()) {
    std::vector<const Jitter*> jitter;
    for (const Jitter& one : part.jitter) jitter.push_back(&one);
    jitter_on_device(patches, jitter);
    if (batch_.inside.defined()) {
      patches.masked_fill_(lies_in(edges_of(batch_.inside, part.rows), patches).logical_not_(), 0);
    }
  }
  const at::Tensor mean = at::tensor(mean_, at::kDouble).to(options).view({1, -1, 1, 1});
  const at::Tensor std = at::tensor(std_, at::kDouble).to(options).view({1, -1, 1, 1});
  patches.sub_(mean).div_(std);
  if (batch_.erased.defined()) {
    patches.masked_fill_(lies_in(edges_of(batch_.erased, part.rows), patches), 0);
  }
  return patches.to(dtype_);
}

}  // namespace dbps::data

#include "data/device_jitter.h"

#include <ATen/ATen.h>

namespace dbps::data {
namespace {

at::Tensor grey(const at::Tensor& patches) {
  return kGreyRed * patches.select(1, 0) + kGreyGreen * patches.select(1, 1) +
         kGreyBlue * patches.select(1, 2);
}

// See turn_hue in jitter.cpp.
at::Tensor turn_hue(const at::Tensor& patches, const at::Tensor& shift) {
  const at::Tensor r = patches.select(1, 0), g = patches.select(1, 1), b = patches.select(1, 2);
  const at::Tensor value = patches.amax(1);
  const at::Tensor chroma = value - patches.amin(1);
  const at::Tensor divisor = at::where(chroma == 0, at::ones_like(chroma), chroma);
  at::Tensor hue = at::where(value == g, 2 + (b - r) / divisor, 4 + (r - g) / divisor);
  hue = at::where(value == r, (g - b) / divisor, hue) + shift;
  const auto channel = [&](double n) {
    const at::Tensor k = at::remainder(hue + n, 6);
    return (value - chroma * at::minimum(k, 4 - k).clamp(0, 1)).clamp(0, 1);
  };
  return at::stack({channel(5), channel(3), channel(1)}, 1);
}

at::Tensor apply_turn(int turn, const at::Tensor& patches, const at::Tensor& factors) {
  const at::Tensor factor = factors.select(1, turn).view({-1, 1, 1, 1});
  switch (turn) {
    case kBrightness:
      return (patches * factor).clamp(0, 1);
    case kContrast:
      return (patches * factor + (1 - factor) * factors.select(1, 4).view({-1, 1, 1, 1}))
          .clamp(0, 1);
    case kSaturation:
      return (patches * factor + (1 - factor) * grey(patches).unsqueeze(1)).clamp(0, 1);
    default:
      return turn_hue(patches, 6 * factor.squeeze(1));
  }
}

}  // namespace

void jitter_on_device(at::Tensor& patches, const std::vector<const Jitter*>& jitter) {
  const int channels = static_cast<int>(patches.size(1));
  const auto n = static_cast<int64_t>(jitter.size());
  std::vector<double> factors;
  for (const Jitter* one : jitter) {
    factors.insert(factors.end(),
                   {one->brightness, one->contrast, one->saturation, one->hue, one->mean_grey});
  }
  // For each place in the order and each kind of change, the rows that have it there: sent at once.
  std::vector<int64_t> rows;
  std::vector<int64_t> ends;
  for (int place = 0; place < 4; ++place) {
    for (int turn = 0; turn < 4; ++turn) {
      for (int64_t row = 0; row < n; ++row) {
        if (jitter[row]->order[place] == turn && jitter[row]->changes(turn, channels)) {
          rows.push_back(row);
        }
      }
      ends.push_back(static_cast<int64_t>(rows.size()));
    }
  }
  const at::Tensor factors_all =
      at::tensor(factors, at::kDouble).view({n, 5}).to(patches.options());
  const at::Tensor rows_all = at::tensor(rows, at::kLong).to(patches.device());
  int64_t begin = 0;
  for (size_t group = 0; group < ends.size(); ++group) {
    const int64_t end = ends[group];
    if (begin < end) {
      const at::Tensor some = rows_all.slice(0, begin, end);
      const at::Tensor changed =
          apply_turn(static_cast<int>(group % 4), patches.index_select(0, some),
                     factors_all.index_select(0, some));
      patches.index_copy_(0, some, changed);
    }
    begin = end;
  }
}

at::Tensor lies_in(const at::Tensor& parts, const at::Tensor& patches) {
  const auto edge = [&](int64_t i) { return parts.select(1, i).view({-1, 1, 1}); };
  const at::Tensor x = at::arange(patches.size(3), patches.options()).view({1, 1, -1});
  const at::Tensor y = at::arange(patches.size(2), patches.options()).view({1, -1, 1});
  return ((x >= edge(0)) & (x < edge(2)) & (y >= edge(1)) & (y < edge(3))).unsqueeze(1);
}

}  // namespace dbps::data

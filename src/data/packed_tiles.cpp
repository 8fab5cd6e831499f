#include "data/packed_tiles.h"

#include <ATen/ATen.h>

namespace dbps::data {
namespace {

constexpr int64_t kWord = sizeof(int64_t);

}  // namespace

at::Tensor pack(const Tiles& tiles, bool greys) {
  const at::Tensor bytes = tiles.pixels.contiguous().flatten(1).view(at::kByte);
  const int64_t padding = (kWord - bytes.size(1) % kWord) % kWord;
  const at::Tensor words = at::constant_pad_nd(bytes, {0, padding}).contiguous().view(at::kLong);
  if (!greys) return words;
  const at::Tensor last = at::tensor(tiles.mean_grey, at::kDouble).view(at::kLong).unsqueeze(1);
  return at::cat({words, last.to(words.device())}, 1);
}

Tiles unpack(const at::Tensor& words, const at::Tensor& like, bool greys) {
  std::vector<int64_t> shape = like.sizes().vec();
  shape[0] = words.size(0);
  int64_t bytes = static_cast<int64_t>(like.element_size());
  for (size_t i = 1; i < shape.size(); ++i) bytes *= shape[i];
  const int64_t width = words.size(1) - (greys ? 1 : 0);
  const at::Tensor padded = words.narrow(1, 0, width).contiguous().view(at::kByte);
  Tiles tiles;
  tiles.pixels = padded.narrow(1, 0, bytes).contiguous().view(like.scalar_type()).view(shape);
  if (!greys) return tiles;
  const at::Tensor last = words.select(1, width).to(at::kCPU).contiguous().view(at::kDouble);
  tiles.mean_grey.assign(last.const_data_ptr<double>(),
                         last.const_data_ptr<double>() + last.numel());
  return tiles;
}

}  // namespace dbps::data

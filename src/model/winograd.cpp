#include "model/winograd.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/parallel.h"

namespace dbps::model {
namespace {

constexpr int64_t kTile = 4;           // outputs a side
constexpr int64_t kPatch = kTile + 2;  // inputs a side
constexpr int64_t kPoints = kPatch * kPatch;
constexpr int64_t kTilesABlock = 96;  // rows of a matrix product, at most
constexpr int64_t kSlice = 128;       // its columns, output channels

// Transforming a filter takes as long as its products with about as many tiles.
constexpr int64_t kTilesOfFilters = 150;

// The filter is evaluated at 0, +-p, +-q and infinity. These points lose the least: with the usual
// 0, +-1, +-2 rounding errors are three times as large.
constexpr float p = 0.625F;
constexpr float q = 1.5F;

// As many channels as AVX-512 holds; the compiler cuts it where registers are shorter.
using Vector = float __attribute__((vector_size(64), aligned(4), may_alias));
constexpr int64_t kLanes = 16;

// Compiled for several instruction sets, chosen when the program starts. Sanitizers do not bear the
// choosing.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define DBPS_EVERY_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DBPS_EVERY_CPU
#endif
#define DBPS_INLINE __attribute__((always_inline)) inline

const Vector& at_channel(const float* values, int64_t c) {
  return *reinterpret_cast<const Vector*>(values + c);
}
Vector& at_channel(float* values, int64_t c) { return *reinterpret_cast<Vector*>(values + c); }

// Where the tiles of a batch lie.
struct Tiling {
  int64_t h;
  int64_t w;
  int64_t down;    // tiles
  int64_t across;  // tiles

  Tiling(int64_t h, int64_t w)
      : h(h), w(w), down((h + kTile - 1) / kTile), across((w + kTile - 1) / kTile) {}

  struct Place {
    int64_t first_row;  // of its picture, in rows of the batch
    int64_t y;
    int64_t x;
  };
  Place place(int64_t tile) const {
    const int64_t of_picture = down * across;
    return {tile / of_picture * h, tile % of_picture / across * kTile, tile % across * kTile};
  }
};

// B^T d of six values `from`, `from_step` apart.
DBPS_INLINE void transform_input(const Vector* from, int64_t from_step, Vector* to,
                                 int64_t to_step) {
  const auto d = [&](int64_t i) -> const Vector& { return from[i * from_step]; };
  const Vector even_p = d(4) - q * q * d(2);
  const Vector odd_p = p * (d(3) - q * q * d(1));
  const Vector even_q = d(4) - p * p * d(2);
  const Vector odd_q = q * (d(3) - p * p * d(1));
  to[0] = p * p * q * q * d(0) - (p * p + q * q) * d(2) + d(4);
  to[to_step] = even_p + odd_p;
  to[2 * to_step] = even_p - odd_p;
  to[3 * to_step] = even_q + odd_q;
  to[4 * to_step] = even_q - odd_q;
  to[5 * to_step] = p * p * q * q * d(1) - (p * p + q * q) * d(3) + d(5);
}

// A^T m of six values, `from_step` apart.
DBPS_INLINE void transform_output(const Vector* from, int64_t from_step, Vector* to,
                                  int64_t to_step) {
  const auto m = [&](int64_t i) -> const Vector& { return from[i * from_step]; };
  const Vector even_p = m(1) + m(2);
  const Vector odd_p = m(1) - m(2);
  const Vector even_q = m(3) + m(4);
  const Vector odd_q = m(3) - m(4);
  to[0] = m(0) + even_p + even_q;
  to[to_step] = p * odd_p + q * odd_q;
  to[2 * to_step] = p * p * even_p + q * q * even_q;
  to[3 * to_step] = p * p * p * odd_p + q * q * q * odd_q + m(5);
}

// Tiles [first, last) of x to (last - first, 36, C). `zeros` holds C of them.
DBPS_EVERY_CPU void gather_tiles(const float* x, const Tiling& tiling, int64_t channels,
                                 int64_t first, int64_t last, const float* zeros, float* out) {
  for (int64_t tile = first; tile < last; ++tile, out += kPoints * channels) {
    const Tiling::Place place = tiling.place(tile);
    std::array<const float*, kPoints> pixels;
    for (int64_t i = 0; i < kPoints; ++i) {
      const int64_t y = place.y + i / kPatch - 1;
      const int64_t column = place.x + i % kPatch - 1;
      const bool inside = y >= 0 && y < tiling.h && column >= 0 && column < tiling.w;
      pixels[i] = inside ? x + ((place.first_row + y) * tiling.w + column) * channels : zeros;
    }
    for (int64_t c = 0; c < channels; c += kLanes) {
      Vector half[kPoints];
      for (int64_t column = 0; column < kPatch; ++column) {
        Vector d[kPatch];
        for (int64_t y = 0; y < kPatch; ++y) d[y] = at_channel(pixels[y * kPatch + column], c);
        transform_input(d, 1, half + column, kPatch);
      }
      for (int64_t y = 0; y < kPatch; ++y) {
        Vector row[kPatch];
        transform_input(half + y * kPatch, 1, row, 1);
        for (int64_t column = 0; column < kPatch; ++column) {
          at_channel(out + (y * kPatch + column) * channels, c) = row[column];
        }
      }
    }
  }
}

struct Epilogue {
  const float* bias;      // of the slice
  const float* residual;  // as the output, or null
  bool relu;
};

// (last - first, 36, slice) to tiles [first, last) of `out`, which begins at the slice's first
// channel and has `channels` a pixel.
DBPS_EVERY_CPU void scatter_tiles(const float* products, const Tiling& tiling, int64_t channels,
                                  int64_t slice, int64_t first, int64_t last,
                                  const Epilogue& epilogue, float* out) {
  for (int64_t tile = first; tile < last; ++tile, products += kPoints * slice) {
    const Tiling::Place place = tiling.place(tile);
    const int64_t rows = std::min(kTile, tiling.h - place.y);
    const int64_t columns = std::min(kTile, tiling.w - place.x);
    for (int64_t c = 0; c < slice; c += kLanes) {
      Vector half[kTile * kPatch];
      for (int64_t column = 0; column < kPatch; ++column) {
        Vector m[kPatch];
        for (int64_t y = 0; y < kPatch; ++y) {
          m[y] = at_channel(products + (y * kPatch + column) * slice, c);
        }
        transform_output(m, 1, half + column, kPatch);
      }
      for (int64_t y = 0; y < rows; ++y) {
        Vector row[kTile];
        transform_output(half + y * kPatch, 1, row, 1);
        for (int64_t column = 0; column < columns; ++column) {
          const int64_t pixel =
              ((place.first_row + place.y + y) * tiling.w + place.x + column) * channels;
          Vector value = row[column] + at_channel(epilogue.bias, c);
          if (epilogue.residual != nullptr) value += at_channel(epilogue.residual + pixel, c);
          at_channel(out + pixel, c) = epilogue.relu ? (value > 0 ? value : Vector{}) : value;
        }
      }
    }
  }
}

// G of section 4.1 for the points above, (6, 3).
at::Tensor filter_points() {
  const double a = p;
  const double b = q;
  const double at_a = 2 * a * a * (a * a - b * b);
  const double at_b = 2 * b * b * (b * b - a * a);
  return at::tensor({1 / (a * a * b * b), 0.0, 0.0,      //
                     1 / at_a, a / at_a, a * a / at_a,   //
                     1 / at_a, -a / at_a, a * a / at_a,  //
                     1 / at_b, b / at_b, b * b / at_b,   //
                     1 / at_b, -b / at_b, b * b / at_b,  //
                     0.0, 0.0, 1.0},
                    at::kDouble)
      .view({kPatch, 3});
}

// G w G^T as one product with the nine numbers of w: (36, 9).
const at::Tensor& filter_transform() {
  static const at::Tensor transform = [] {
    const at::Tensor g = filter_points().to(at::kFloat);
    return at::einsum("ai,bj->abij", {g, g}).reshape({kPoints, 9});
  }();
  return transform;
}

// Output channels of a matrix product.
int64_t slice_of(int64_t channels) { return channels % kSlice == 0 ? kSlice : channels; }

}  // namespace

bool WinogradConvolution::serves(const at::Tensor& weight_DC33, int64_t stride, int64_t padding) {
  return OneDnnConvolution::serves(weight_DC33) && weight_DC33.scalar_type() == at::kFloat &&
         stride == 1 && padding == 1 && weight_DC33.size(2) == 3 && weight_DC33.size(3) == 3 &&
         weight_DC33.size(0) % kLanes == 0 && weight_DC33.size(1) % kLanes == 0;
}

bool WinogradConvolution::gains(int64_t h, int64_t w) {
  const Tiling tiling(h, w);
  return 9 * h * w >= 2 * kPoints * tiling.down * tiling.across;
}

bool WinogradConvolution::gains_once(int64_t n, int64_t h, int64_t w) {
  const Tiling tiling(h, w);
  const int64_t tiles = n * tiling.down * tiling.across;
  return gains(h, w) && 9 * n * h * w >= kPoints * (tiles * 3 / 2 + kTilesOfFilters);
}

WinogradConvolution::WinogradConvolution(const at::Tensor& weight_DC33, const at::Tensor& bias)
    : out_(weight_DC33.size(0)), in_(weight_DC33.size(1)), bias_(bias.detach().clone()) {
  const c10::NoGradGuard no_grad;
  const int64_t slice = slice_of(out_);
  const at::Tensor weights = weight_DC33.contiguous().view({out_, in_ * 9});
  for (int64_t first = 0; first < out_; first += slice) {
    const at::Tensor filters =
        at::mm(filter_transform(), weights.narrow(0, first, slice).view({slice * in_, 9}).t());
    products_.emplace_back(filters.view({kPoints * slice, in_, 1, 1}), at::Tensor(),
                           ConvolutionShape{.groups = kPoints},
                           std::array<int64_t, 4>{1, kPoints * in_, 1, kTilesABlock});
  }
}

at::Tensor WinogradConvolution::operator()(const at::Tensor& x, const at::Tensor& residual,
                                           bool relu) const {
  const at::Tensor in = x.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor added =
      residual.defined() ? residual.contiguous(at::MemoryFormat::ChannelsLast) : residual;
  const Tiling tiling(x.size(2), x.size(3));
  const auto parts = static_cast<int64_t>(products_.size());
  const int64_t slice = out_ / parts;
  const int64_t tiles = x.size(0) * tiling.down * tiling.across;
  // Equal ones, so that threads that have as many blocks have as much to do.
  const int64_t blocks = (tiles + kTilesABlock - 1) / kTilesABlock;
  at::Tensor y =
      at::empty({x.size(0), out_, tiling.h, tiling.w}, x.options(), at::MemoryFormat::ChannelsLast);
  const std::vector<float> zeros(in_);

  at::parallel_for(0, blocks * parts, 1, [&](int64_t begin, int64_t end) {
    const c10::NoGradGuard no_grad;
    at::Tensor gathered;
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t part = unit % parts;
      const auto [first, last] = share_of(tiles, unit / parts, blocks);
      const int64_t rows = last - first;
      if (unit == begin || part == 0) {
        gathered =
            at::empty({1, kPoints * in_, 1, rows}, x.options(), at::MemoryFormat::ChannelsLast);
        gather_tiles(in.const_data_ptr<float>(), tiling, in_, first, last, zeros.data(),
                     gathered.data_ptr<float>());
      }
      const at::Tensor products = products_[part](gathered, {}, false);
      const int64_t channel = part * slice;
      scatter_tiles(
          products.const_data_ptr<float>(), tiling, out_, slice, first, last,
          {.bias = bias_.const_data_ptr<float>() + channel,
           .residual = added.defined() ? added.const_data_ptr<float>() + channel : nullptr,
           .relu = relu},
          y.data_ptr<float>() + channel);
    }
  });
  return y;
}

}  // namespace dbps::model

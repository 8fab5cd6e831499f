#include "data/cut.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>

#include "base/random.h"
#include "data/erase.h"

namespace dbps::data {
namespace {

double draw_factor(RandomStream& random, double amount) {
  return random.uniform(std::max(0.0, 1.0 - amount), 1.0 + amount);
}

Jitter draw_jitter(RandomStream& random, const AugmentOptions& augment) {
  Jitter jitter;
  const std::vector<int64_t> order = random.permutation(4);
  std::copy(order.begin(), order.end(), jitter.order.begin());
  jitter.brightness = draw_factor(random, augment.brightness);
  jitter.contrast = draw_factor(random, augment.contrast);
  jitter.saturation = draw_factor(random, augment.saturation);
  jitter.hue = random.uniform(-augment.hue, augment.hue);
  return jitter;
}

// The size of the picture that the placement shows.
Size shown_size(const Placement& placement, Size picture) {
  if (placement.x_from_x != 0) return picture;
  return {picture.height, picture.width};
}

void flip_horizontally(Placement& p, Size size) {
  p.origin_x += p.x_from_x * (size.width - 1);
  p.origin_y += p.y_from_x * (size.width - 1);
  p.x_from_x = -p.x_from_x;
  p.y_from_x = -p.y_from_x;
}

void flip_vertically(Placement& p, Size size) {
  p.origin_x += p.x_from_y * (size.height - 1);
  p.origin_y += p.y_from_y * (size.height - 1);
  p.x_from_y = -p.x_from_y;
  p.y_from_y = -p.y_from_y;
}

// A quarter turn to the left is a transposition, then an upside-down flip.
void turn_left(Placement& p, Size size) {
  std::swap(p.x_from_x, p.x_from_y);
  std::swap(p.y_from_x, p.y_from_y);
  flip_vertically(p, {size.height, size.width});
}

// Everything is drawn whether it is used or not, so that one setting does not change another's
// draws.
Placement draw_placement(RandomStream& random, const LoaderOptions& options, Size size) {
  const AugmentOptions& augment = options.augment;
  Placement placement;
  placement.origin_x = augment.translate - random.below(2 * augment.translate + 1);
  placement.origin_y = augment.translate - random.below(2 * augment.translate + 1);
  const bool horizontal = random.below(2) == 1;
  const bool vertical = random.below(2) == 1;
  int64_t turns = random.below(4);
  if (horizontal && augment.flip != Flip::kNone) flip_horizontally(placement, size);
  if (vertical && augment.flip == Flip::kBoth) flip_vertically(placement, size);
  if (!augment.rotate90) return placement;
  // A whole oblong picture cannot lie on its side in a batch of upright ones.
  if (options.data.patch_size == 0 && size.width != size.height) turns &= 2;
  for (; turns > 0; --turns) turn_left(placement, shown_size(placement, size));
  return placement;
}

// Where a step of 1 in the augmented picture moves along one axis of the resized one, the range of
// augmented pixels [first, last) of [begin, end) that stay within [0, length).
std::pair<int64_t, int64_t> stay_within(int64_t origin, int64_t step, int64_t begin, int64_t end,
                                        int64_t length) {
  const int64_t first = step > 0 ? -origin : origin - (length - 1);
  const int64_t last = step > 0 ? length - origin : origin + 1;
  return {std::clamp(first, begin, end), std::clamp(last, begin, end)};
}

// The part of the augmented picture's rectangle that lies in the picture; empty: all zero.
Window visible(const Placement& p, Size picture, const Window& patch) {
  std::pair<int64_t, int64_t> across, down;
  if (p.x_from_x != 0) {
    across = stay_within(p.origin_x, p.x_from_x, patch.x0, patch.x1, picture.width);
    down = stay_within(p.origin_y, p.y_from_y, patch.y0, patch.y1, picture.height);
  } else {
    across = stay_within(p.origin_y, p.y_from_x, patch.x0, patch.x1, picture.height);
    down = stay_within(p.origin_x, p.x_from_y, patch.y0, patch.y1, picture.width);
  }
  if (across.first >= across.second || down.first >= down.second) return {};
  return {across.first, down.first, across.second, down.second};
}

// The resized picture's rectangle that an augmented one shows.
Window source_window(const Placement& p, const Window& shown) {
  const auto x = [&](int64_t column, int64_t row) {
    return p.origin_x + p.x_from_x * column + p.x_from_y * row;
  };
  const auto y = [&](int64_t column, int64_t row) {
    return p.origin_y + p.y_from_x * column + p.y_from_y * row;
  };
  const auto [x0, x1] = std::minmax({x(shown.x0, shown.y0), x(shown.x1 - 1, shown.y1 - 1)});
  const auto [y0, y1] = std::minmax({y(shown.x0, shown.y0), y(shown.x1 - 1, shown.y1 - 1)});
  return {x0, y0, x1 + 1, y1 + 1};
}

void describe_bag(Cut& cut) {
  HostBag& bag = cut.bag;
  const double scale_x =
      static_cast<double>(bag.source_width) / static_cast<double>(cut.resized.width);
  const double scale_y =
      static_cast<double>(bag.source_height) / static_cast<double>(cut.resized.height);
  const bool on_its_side = cut.placement.x_from_x == 0;
  bag.grid_columns = cut.grid.columns;
  bag.grid_rows = cut.grid.rows;
  for (const int64_t index : bag.index) {
    const Window source = source_window(cut.placement, patch_window(cut.grid, index));
    bag.x.push_back(static_cast<float>(static_cast<double>(source.x0) * scale_x));
    bag.y.push_back(static_cast<float>(static_cast<double>(source.y0) * scale_y));
  }
  const int64_t width = on_its_side ? cut.grid.patch_height : cut.grid.patch_width;
  const int64_t height = on_its_side ? cut.grid.patch_width : cut.grid.patch_height;
  bag.patch_width_source = static_cast<float>(static_cast<double>(width) * scale_x);
  bag.patch_height_source = static_cast<float>(static_cast<double>(height) * scale_y);
}

// Drawn in one order, whether used or not.
struct Draws {
  Draws(const LoaderOptions& options, uint64_t sample)
      : random(static_cast<uint64_t>(options.seed), Purpose::kAugment,
               static_cast<uint64_t>(options.epoch), sample) {
    if (options.training) jitter = draw_jitter(random, options.augment);
  }
  RandomStream random;
  Jitter jitter;  // of the whole picture
};

Cut begin_cut(HostBag bag, Size size, const LoaderOptions& options, Draws& draws) {
  Cut cut;
  cut.jitter_per = options.augment.jitter_per;
  cut.bag = std::move(bag);
  cut.resized = size;
  if (options.training) cut.placement = draw_placement(draws.random, options, size);
  cut.grid = make_grid(options.data, shown_size(cut.placement, size));
  return cut;
}

// Which of the picture's n patches stay, and their jitter.
void keep_patches(Cut& cut, int64_t n, const LoaderOptions& options, Draws& draws) {
  cut.bag.index = choose_kept(n, cut.bag.sample, options);
  const AugmentOptions& amounts = options.augment;
  const bool jittered =
      amounts.brightness > 0 || amounts.contrast > 0 || amounts.saturation > 0 || amounts.hue > 0;
  if (!options.training || !jittered) return;
  if (amounts.jitter_per == JitterPer::kBag) {
    cut.jitter = {draws.jitter};
    return;
  }
  // Drawn for dropped patches too: a patch's jitter does not depend on which others are kept.
  std::vector<Jitter> all(static_cast<size_t>(n));
  for (Jitter& one : all) one = draw_jitter(draws.random, amounts);
  for (const int64_t index : cut.bag.index) cut.jitter.push_back(all[index]);
}

Cut plan_tiles(HostBag bag, const WholeBag& stored, const LoaderOptions& options) {
  const int64_t tile_size = options.data.patch_size;
  Draws draws(options, bag.sample);
  Cut cut = begin_cut(std::move(bag), {tile_size, tile_size}, options, draws);
  keep_patches(cut, stored.num_tiles(), options, draws);
  cut.bag.grid_columns = stored.num_tiles();
  cut.bag.grid_rows = 1;
  for (const int64_t index : cut.bag.index) {
    const store::Tile tile = stored.tile(index);
    cut.bag.x.push_back(static_cast<float>(tile.x));
    cut.bag.y.push_back(static_cast<float>(tile.y));
  }
  cut.bag.patch_width_source =
      static_cast<float>(static_cast<double>(tile_size) * stored.first_part().downsample);
  cut.bag.patch_height_source = cut.bag.patch_width_source;
  return cut;
}

// Interleaved rows to planes: one row of a patch's visible part, `stride` bytes from pixel to
// pixel.
template <int kChannels>
void copy_row(const uint8_t* source, int64_t stride, uint8_t* target, int64_t plane,
              int64_t count) {
  if (kChannels == 1 && stride == 1) {
    std::memcpy(target, source, static_cast<size_t>(count));
    return;
  }
  for (int64_t i = 0; i < count; ++i, source += stride) {
    for (int c = 0; c < kChannels; ++c) target[c * plane + i] = source[c];
  }
}

}  // namespace

Window patch_window(const Grid& grid, int64_t index) {
  const int64_t x = grid.x[index % grid.columns];
  const int64_t y = grid.y[index / grid.columns];
  return {x, y, x + grid.patch_width, y + grid.patch_height};
}

uint64_t sample_of(uint64_t picture, int64_t occurrence) {
  if (occurrence == 0) return picture;
  const std::string name = fmt::format("{:x} again {}", picture, occurrence);
  return stable_hash(name.data(), name.size());
}

std::vector<int64_t> choose_kept(int64_t n, uint64_t sample, const LoaderOptions& options) {
  if (options.training) {
    RandomStream drop(static_cast<uint64_t>(options.seed), Purpose::kDrop,
                      static_cast<uint64_t>(options.epoch), sample);
    return drop.choose(n, kept_patches(options.drop.ratio, n, options.salient));
  }
  std::vector<int64_t> all(static_cast<size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

Cut plan_cut(const Dataset& dataset, int64_t picture, const LoaderOptions& options,
             int64_t occurrence) {
  const Picture& entry = dataset.pictures()[picture];
  const WholeBag stored = dataset.whole_bag(picture);
  HostBag bag;
  bag.picture = picture;
  bag.id = entry.id;
  bag.sample = sample_of(entry.sample, occurrence);
  bag.source_width = stored.first_part().width;
  bag.source_height = stored.first_part().height;
  if (dataset.kind() != store::Kind::kTiles) return plan_cut(std::move(bag), options);
  return plan_tiles(std::move(bag), stored, options);
}

Cut plan_cut(const WholeBag& slide, const LoaderOptions& options) {
  const store::Bag& part = slide.first_part();
  HostBag bag;
  bag.id = part.id;
  bag.sample = stable_hash(bag.id.data(), bag.id.size());
  bag.source_width = part.width;
  bag.source_height = part.height;
  return plan_tiles(std::move(bag), slide, options);
}

Cut plan_cut(HostBag bag, const LoaderOptions& options) {
  const Size size = resized(options.data, {bag.source_width, bag.source_height});
  Draws draws(options, bag.sample);
  Cut cut = begin_cut(std::move(bag), size, options, draws);
  keep_patches(cut, cut.grid.size(), options, draws);
  if (options.training) {
    RandomStream erase(static_cast<uint64_t>(options.seed), Purpose::kErase,
                       static_cast<uint64_t>(options.epoch), cut.bag.sample);
    cut.erased = draw_erased(erase, options, shown_size(cut.placement, cut.resized), cut.grid,
                             cut.bag.index);
  }
  describe_bag(cut);
  return cut;
}

int64_t cut_patch(const image::Image& picture, const Placement& p, const Window& patch,
                  uint8_t* pixels, int32_t* inside) {
  const int64_t channels = picture.channels;
  const int64_t width = patch.x1 - patch.x0;
  const int64_t plane = width * (patch.y1 - patch.y0);
  const int64_t stride = (p.y_from_x * picture.width + p.x_from_x) * channels;
  const Window shown = visible(p, {picture.width, picture.height}, patch);
  const bool empty = shown.x0 >= shown.x1;
  const int64_t count = shown.x1 - shown.x0;
  if (count * (shown.y1 - shown.y0) < plane) {
    std::memset(pixels, 0, static_cast<size_t>(channels * plane));
  }
  for (int64_t y = shown.y0; y < shown.y1; ++y) {
    const int64_t source_x = p.origin_x + p.x_from_x * shown.x0 + p.x_from_y * y;
    const int64_t source_y = p.origin_y + p.y_from_x * shown.x0 + p.y_from_y * y;
    const uint8_t* source = picture.row(source_y) + source_x * channels;
    uint8_t* target = pixels + (y - patch.y0) * width + (shown.x0 - patch.x0);
    if (channels == 3) {
      copy_row<3>(source, stride, target, plane, count);
    } else {
      copy_row<1>(source, stride, target, plane, count);
    }
  }
  const int64_t corner_x = empty ? 0 : patch.x0;
  const int64_t corner_y = empty ? 0 : patch.y0;
  *inside++ = static_cast<int32_t>(shown.x0 - corner_x);
  *inside++ = static_cast<int32_t>(shown.y0 - corner_y);
  *inside++ = static_cast<int32_t>(shown.x1 - corner_x);
  *inside++ = static_cast<int32_t>(shown.y1 - corner_y);
  return channels * count * (shown.y1 - shown.y0);
}

int64_t cut_patches(const image::Image& picture, const Cut& cut, uint8_t* pixels, int32_t* inside) {
  const int64_t bytes = picture.channels * cut.grid.patch_width * cut.grid.patch_height;
  int64_t copied = 0;
  for (const int64_t index : cut.bag.index) {
    copied += cut_patch(picture, cut.placement, patch_window(cut.grid, index), pixels, inside);
    pixels += bytes;
    inside += 4;
  }
  return copied;
}

std::vector<Jitter> measure_jitter(const image::Image& picture, const Cut& cut) {
  std::vector<Jitter> measured = cut.jitter;
  for (size_t i = 0; i < measured.size(); ++i) {
    if (!measured[i].changes(kContrast, picture.channels)) continue;
    Window window{0, 0, picture.width, picture.height};
    if (cut.jitter_per == JitterPer::kPatch) {
      const Window shown = visible(cut.placement, {picture.width, picture.height},
                                   patch_window(cut.grid, cut.bag.index[i]));
      window = shown.x0 < shown.x1 ? source_window(cut.placement, shown) : Window{};
    }
    measured[i].mean_grey = mean_grey(measured[i], picture, window);
  }
  return measured;
}

}  // namespace dbps::data

#include "data/filling.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "data/grid.h"
#include "data/tile_stream.h"
#include "data/vectors.h"
#include "image/codec.h"
#include "image/resize.h"

namespace dbps::data {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A JPEG decoded smaller keeps detail that the resize of the full one smooths away: on sharp
// photographs the two differ by up to 4/255 on average where the smaller one needs no resize any
// more, and by at most 1.3/255 where it is half as large again as what is wanted.
int64_t enough(int64_t pixels) { return (3 * pixels + 1) / 2; }

image::Image decode_resized(std::span<const uint8_t> bytes, const std::string& name, Size size,
                            const LoaderOptions& options) {
  image::DecodeOptions decoding;
  decoding.channels = options.channels;
  decoding.max_pixels = options.data.picture_pixels;
  if (options.data.fast_decode) {
    decoding.enough_width = enough(size.width);
    decoding.enough_height = enough(size.height);
  }
  image::Image picture = image::decode(bytes, name, decoding);
  if (picture.width == size.width && picture.height == size.height) return picture;
  return image::resize(picture, size.width, size.height);
}

image::Image read_picture(const Dataset& dataset, const Cut& cut, const LoaderOptions& options,
                          std::vector<uint8_t>& encoded, PictureCost& cost) {
  const Picture& entry = dataset.pictures()[cut.bag.picture];
  const HostBag& bag = cut.bag;
  const double pixels =
      static_cast<double>(bag.source_width) * static_cast<double>(bag.source_height);
  if (pixels > options.data.picture_pixels) {
    throw DataError(fmt::format(
        "{}: {} x {} pixels are more than data.picture_pixels = {:g}: ingest it with --kind tiles",
        entry.id, bag.source_width, bag.source_height, options.data.picture_pixels));
  }
  auto start = Clock::now();
  const store::Reader& store = dataset.store(entry.store);
  const size_t size = store.tile(entry.bag).bytes;
  if (encoded.size() < size) encoded.resize(size);
  const std::span<uint8_t> bytes(encoded.data(), size);
  store.read_into(bytes, entry.bag);
  cost.read_seconds = seconds_since(start);
  cost.bytes_read = static_cast<int64_t>(size);

  start = Clock::now();
  const image::Info info = image::probe(bytes, entry.id);
  if (info.width != bag.source_width || info.height != bag.source_height) {
    throw DataError(fmt::format("{}: has {} x {} pixels, but its store says {} x {}", entry.id,
                                info.width, info.height, bag.source_width, bag.source_height));
  }
  image::Image picture = decode_resized(bytes, entry.id, cut.resized, options);
  cost.decode_seconds = seconds_since(start);
  return picture;
}

// HostBatch::erased.
at::Tensor erased_parts(const std::vector<Cut>& cuts) {
  std::vector<int32_t> edges;
  for (const Cut& cut : cuts) {
    for (const Window& part : cut.erased) {
      for (const int64_t edge : {part.x0, part.y0, part.x1, part.y1}) {
        edges.push_back(static_cast<int32_t>(edge));
      }
    }
  }
  return edges.empty() ? at::Tensor() : at::tensor(edges, at::kInt).view({-1, 4});
}

void add_bag(const Cut& cut, HostBatch& batch) {
  batch.bags.push_back(cut.bag);
  batch.offsets.push_back(batch.offsets.back() + static_cast<int64_t>(cut.bag.index.size()));
  batch.jitter.insert(batch.jitter.end(), cut.jitter.begin(), cut.jitter.end());
}

Filling start_batch(std::vector<Cut> cuts, const LoaderOptions& options) {
  Filling filling;
  HostBatch& batch = filling.batch;
  batch.offsets = {0};
  int64_t width = options.data.patch_size > 0 ? options.data.patch_size : options.data.width;
  int64_t height = options.data.patch_size > 0 ? options.data.patch_size : options.data.height;
  if (!cuts.empty()) {
    width = cuts.front().grid.patch_width;
    height = cuts.front().grid.patch_height;
  }
  for (const Cut& cut : cuts) {
    if (cut.grid.patch_width != width || cut.grid.patch_height != height) {
      throw ConfigError(
          fmt::format("whole pictures of different sizes ('{}' and '{}') cannot share a batch: set "
                      "data.resize = \"exact\"",
                      cuts.front().bag.id, cut.bag.id));
    }
    add_bag(cut, batch);
  }
  batch.erased = erased_parts(cuts);
  const auto host = at::TensorOptions().pinned_memory(options.pin_memory);
  batch.pixels =
      at::empty({batch.offsets.back(), options.channels, height, width}, host.dtype(at::kByte));
  batch.inside = at::empty({batch.offsets.back(), 4}, at::kInt);
  batch.share = options.share;
  filling.failures.resize(cuts.size());
  filling.unfinished = cuts.size();
  filling.bytes = static_cast<int64_t>(batch.pixels.nbytes());
  filling.cuts = std::move(cuts);
  return filling;
}

// Writes rows, and entries of the jitter, that belong to this picture alone. Returns bytes copied.
int64_t place_picture(const image::Image& picture, const LoaderOptions& options, Filling& filling,
                      size_t slot) {
  HostBatch& batch = filling.batch;
  const Cut& cut = filling.cuts[slot];
  const int64_t first = batch.offsets[slot];
  uint8_t* pixels = batch.pixels.data_ptr<uint8_t>() +
                    first * options.channels * cut.grid.patch_width * cut.grid.patch_height;
  const int64_t copied =
      cut_patches(picture, cut, pixels, batch.inside.data_ptr<int32_t>() + first * 4);
  const std::vector<Jitter> jitter = measure_jitter(picture, cut);
  const auto at =
      options.augment.jitter_per == JitterPer::kPatch ? first : static_cast<int64_t>(slot);
  std::copy(jitter.begin(), jitter.end(), batch.jitter.begin() + at);
  return copied;
}

// One bag of all its patches, of a picture that is resized already.
HostBatch cut_resized(const image::Image& picture, Size source, const std::string& id,
                      LoaderOptions options) {
  options.training = false;
  HostBag bag;
  bag.id = id;
  bag.sample = stable_hash(id.data(), id.size());
  bag.source_width = source.width;
  bag.source_height = source.height;
  std::vector<Cut> cuts = {plan_cut(std::move(bag), options)};
  Filling filling = start_batch(std::move(cuts), options);
  place_picture(picture, options, filling, 0);
  return std::move(filling.batch);
}

Filling start_vectors(const Dataset& dataset, const std::vector<int64_t>& pictures,
                      const std::vector<int64_t>& occurrences, const LoaderOptions& options) {
  std::vector<HostBag> bags;
  for (size_t i = 0; i < pictures.size(); ++i) {
    bags.push_back(plan_vectors(dataset, pictures[i], options, occurrences[i]));
  }
  Filling filling;
  filling.batch = make_vector_batch(std::move(bags), dataset.feature_width(), options.pin_memory,
                                    options.share);
  filling.failures.resize(pictures.size());
  filling.unfinished = pictures.size();
  filling.bytes = static_cast<int64_t>(filling.batch.pixels.nbytes());
  return filling;
}

// Nothing is read of tiles yet but what their slide's jitter asks for.
Filling start_tiles(std::vector<WholeBag> bags, std::vector<Cut> cuts,
                    const LoaderOptions& options) {
  Filling filling;
  HostBatch& batch = filling.batch;
  batch.offsets = {0};
  for (const Cut& cut : cuts) {
    add_bag(cut, batch);
  }
  filling.failures.resize(cuts.size());
  filling.unfinished = cuts.size();
  batch.share = options.share;
  const bool of_slides = options.augment.jitter_per == JitterPer::kBag && !batch.jitter.empty();
  if (options.share.members > 1 && of_slides) {
    batch.greys =
        at::zeros({static_cast<int64_t>(cuts.size()), TileReader::kGreySample}, at::kDouble);
  }
  batch.tiles =
      std::make_shared<TileStream>(TileReader(std::move(bags), std::move(cuts), options), options);
  return filling;
}

PictureCost fill_tiles(const LoaderOptions& options, Filling& filling, size_t slot,
                       std::vector<uint8_t>& encoded) {
  PictureCost cost;
  HostBatch& batch = filling.batch;
  if (batch.jitter.empty() || options.augment.jitter_per == JitterPer::kPatch) return cost;
  const auto start = Clock::now();
  Jitter& jitter = batch.jitter[slot];
  const std::vector<double> greys = batch.tiles->reader().greys(
      slot, jitter, batch.own_part(static_cast<int64_t>(slot)), encoded);
  if (batch.greys.defined()) {
    std::copy(greys.begin(), greys.end(), batch.greys[slot].data_ptr<double>());
  } else {
    jitter.mean_grey = mean_of(greys);
  }
  cost.decode_seconds = seconds_since(start);
  return cost;
}

PictureCost fill_vectors(const Dataset& dataset, Filling& filling, size_t slot) {
  const HostBag& bag = filling.batch.bags[slot];
  const Picture& entry = dataset.pictures()[bag.picture];
  PictureCost cost;
  const auto start = Clock::now();
  cost.bytes_read = read_vectors(dataset.store(entry.store), entry.bag, filling.batch,
                                 static_cast<int64_t>(slot));
  cost.read_seconds = seconds_since(start);
  return cost;
}

}  // namespace

int64_t decoding_bytes(const Dataset& dataset, int64_t picture, const LoaderOptions& options) {
  const Picture& entry = dataset.pictures()[picture];
  const store::Reader& store = dataset.store(entry.store);
  if (dataset.kind() != store::Kind::kImages) return 0;
  const store::Bag& bag = store.bag(entry.bag);
  const Size after = resized(options.data, {bag.width, bag.height});
  const bool same = after.width == bag.width && after.height == bag.height;
  const int64_t pixels = bag.width * bag.height + (same ? 0 : after.width * after.height);
  return pixels * options.channels + static_cast<int64_t>(store.tile(entry.bag).bytes);
}

int64_t batch_bytes(const Dataset& dataset, const std::vector<int64_t>& pictures,
                    const LoaderOptions& options) {
  int64_t bytes = 0;
  if (dataset.kind() == store::Kind::kTiles) return bytes;  // TileStream bounds its own
  for (const int64_t picture : pictures) {
    const PatchCount count = count_patches(dataset, picture, options);
    const bool whole = dataset.kind() == store::Kind::kImages;
    const int64_t held = whole ? count.kept : options.share.most_of(count.kept, count.all);
    if (held > 0) bytes += count.bytes / count.kept * held;
  }
  return bytes;
}

Filling start_batch(const Dataset& dataset, const std::vector<int64_t>& pictures,
                    const std::vector<int64_t>& occurrences, const LoaderOptions& options) {
  if (dataset.kind() == store::Kind::kFeatures) {
    return start_vectors(dataset, pictures, occurrences, options);
  }
  std::vector<Cut> cuts;
  std::vector<WholeBag> bags;
  for (size_t i = 0; i < pictures.size(); ++i) {
    cuts.push_back(plan_cut(dataset, pictures[i], options, occurrences[i]));
    bags.push_back(dataset.whole_bag(pictures[i]));
  }
  if (dataset.kind() == store::Kind::kTiles) {
    return start_tiles(std::move(bags), std::move(cuts), options);
  }
  return start_batch(std::move(cuts), options);
}

PictureCost fill_picture(const Dataset& dataset, const LoaderOptions& options, Filling& filling,
                         size_t slot, std::vector<uint8_t>& encoded) {
  if (dataset.kind() == store::Kind::kFeatures) return fill_vectors(dataset, filling, slot);
  if (dataset.kind() == store::Kind::kTiles) return fill_tiles(options, filling, slot, encoded);
  PictureCost cost;
  const image::Image picture = read_picture(dataset, filling.cuts[slot], options, encoded, cost);
  cost.bytes_copied = place_picture(picture, options, filling, slot);
  return cost;
}

HostBatch cut_picture(const image::Image& picture, const std::string& id, LoaderOptions options) {
  const Size source = {picture.width, picture.height};
  const Size size = resized(options.data, source);
  if (size.width == source.width && size.height == source.height) {
    return cut_resized(picture, source, id, options);
  }
  return cut_resized(image::resize(picture, size.width, size.height), source, id, options);
}

HostBatch cut_encoded(std::span<const uint8_t> bytes, const std::string& name,
                      const std::string& id, LoaderOptions options) {
  const image::Info info = image::probe(bytes, name);
  const Size source = {info.width, info.height};
  const image::Image picture = decode_resized(bytes, name, resized(options.data, source), options);
  return cut_resized(picture, source, id, options);
}

HostBatch tile_batch(const store::Reader& store, int64_t bag, LoaderOptions options) {
  options.training = false;
  const WholeBag stored(store, bag);
  Cut cut = plan_cut(stored, options);
  return std::move(start_tiles({stored}, {std::move(cut)}, options).batch);
}

PatchCount count_patches(const Dataset& dataset, int64_t picture, const LoaderOptions& options) {
  const auto kept = [&](int64_t n) {
    return options.training ? kept_patches(options.drop.ratio, n, options.salient) : n;
  };
  const WholeBag stored = dataset.whole_bag(picture);
  if (dataset.kind() == store::Kind::kFeatures) {
    const int64_t n = stored.num_tiles();
    return {n, kept(n), false,
            kept(n) * dataset.feature_width() * static_cast<int64_t>(sizeof(float))};
  }
  if (dataset.kind() == store::Kind::kTiles) {
    const int64_t n = stored.num_tiles();
    return {n, kept(n), false,
            kept(n) * dataset.tile_size() * dataset.tile_size() * options.channels};
  }
  const store::Bag& bag = stored.first_part();
  const Size size = resized(options.data, {bag.width, bag.height});
  const Grid grid = make_grid(options.data, size);
  const int64_t n = grid.size();
  return {n, kept(n), std::min(size.width, size.height) < options.data.patch_size,
          kept(n) * grid.patch_width * grid.patch_height * options.channels};
}

}  // namespace dbps::data

#include "data/vectors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <span>
#include <utility>

#include "base/random.h"
#include "data/cut.h"
#include "data/whole_bag.h"

namespace dbps::data {
namespace {

constexpr size_t kPieceRows = 1024;  // of float16 on its way to float32

HostBag empty_bag(const std::string& id, int64_t n) {
  HostBag bag;
  bag.id = id;
  bag.sample = stable_hash(id.data(), id.size());
  bag.grid_columns = n;
  bag.grid_rows = 1;
  return bag;
}

HostBag plan_vectors(const store::Reader& store, int64_t bag_index, const LoaderOptions& options,
                     int64_t occurrence) {
  const WholeBag stored(store, bag_index);
  HostBag bag = empty_bag(stored.first_part().id, stored.num_tiles());
  bag.sample = sample_of(bag.sample, occurrence);
  bag.index = choose_kept(stored.num_tiles(), bag.sample, options);
  for (const int64_t index : bag.index) {
    const store::Tile tile = stored.tile(index);
    bag.x.push_back(static_cast<float>(tile.x));
    bag.y.push_back(static_cast<float>(tile.y));
  }
  return bag;
}

// The vectors of numbers `rows` of one part, as float32.
void read_part(const store::Reader& store, int64_t part, std::span<const int64_t> rows,
               float* out) {
  const auto bytes = store::vector_bytes(store.settings());
  const int64_t width = store.settings().channels;
  if (store.settings().pixel_type == "float32") {
    store.read_vectors(part, rows, reinterpret_cast<uint8_t*>(out));
    return;
  }
  std::vector<uint8_t> halves(std::min(kPieceRows, rows.size()) * bytes);
  for (size_t first = 0; first < rows.size(); first += kPieceRows) {
    const size_t count = std::min(kPieceRows, rows.size() - first);
    store.read_vectors(part, rows.subspan(first, count), halves.data());
    const std::vector<int64_t> shape = {static_cast<int64_t>(count), width};
    at::from_blob(out + static_cast<int64_t>(first) * width, shape, at::kFloat)
        .copy_(at::from_blob(halves.data(), shape, at::kHalf));
  }
}

// Of the batch's pixels, those of the bags before `slot`.
int64_t rows_before(const HostBatch& batch, int64_t slot) {
  int64_t rows = 0;
  for (int64_t bag = 0; bag < slot; ++bag) {
    const auto [first, last] = batch.own_part(bag);
    rows += last - first;
  }
  return rows;
}

}  // namespace

HostBag plan_vectors(const Dataset& dataset, int64_t picture, const LoaderOptions& options,
                     int64_t occurrence) {
  const Picture& entry = dataset.pictures()[picture];
  HostBag bag = plan_vectors(dataset.store(entry.store), entry.bag, options, occurrence);
  bag.picture = picture;
  return bag;
}

HostBatch make_vector_batch(std::vector<HostBag> bags, int64_t width, bool pin_memory,
                            const BagShare& share) {
  HostBatch batch;
  batch.share = share;
  batch.offsets = {0};
  for (const HostBag& bag : bags) {
    batch.offsets.push_back(batch.offsets.back() + static_cast<int64_t>(bag.index.size()));
  }
  batch.bags = std::move(bags);
  batch.pixels = at::empty({rows_before(batch, std::ssize(batch.bags)), width},
                           at::TensorOptions().pinned_memory(pin_memory).dtype(at::kFloat));
  return batch;
}

int64_t read_vectors(const store::Reader& store, int64_t bag, HostBatch& batch, int64_t slot) {
  const auto [from, to] = batch.own_part(slot);
  const std::span kept = std::span(batch.bags[slot].index).subspan(from, to - from);
  float* out = batch.pixels.data_ptr<float>() + rows_before(batch, slot) * batch.pixels.size(1);
  const WholeBag whole(store, bag);
  std::vector<int64_t> rows;  // of one part, counted in it
  for (size_t first = 0; first < kept.size(); first += rows.size()) {
    const int64_t part = whole.place(kept[first]).bag;
    rows.clear();
    for (size_t i = first; i < kept.size(); ++i) {
      const store::TilePlace at = whole.place(kept[i]);
      if (at.bag != part) break;
      rows.push_back(at.tile);
    }
    read_part(store, part, rows, out);
    out += static_cast<int64_t>(rows.size()) * batch.pixels.size(1);
  }
  return static_cast<int64_t>(kept.size() * store::vector_bytes(store.settings()));
}

HostBatch vector_batch(const store::Reader& store, int64_t bag) {
  LoaderOptions options;
  options.training = false;
  HostBatch batch =
      make_vector_batch({plan_vectors(store, bag, options, 0)}, store.settings().channels, false);
  batch.bytes_read = read_vectors(store, bag, batch, 0);
  return batch;
}

HostBatch vector_batch(const std::string& id, const store::Vectors& vectors, int64_t width) {
  HostBag bag = empty_bag(id, vectors.count);
  for (int64_t i = 0; i < vectors.count; ++i) {
    const store::Place place =
        vectors.places.empty() ? store::Place{static_cast<int32_t>(i), 0} : vectors.places[i];
    bag.index.push_back(i);
    bag.x.push_back(static_cast<float>(place.x));
    bag.y.push_back(static_cast<float>(place.y));
  }
  HostBatch batch = make_vector_batch({std::move(bag)}, width, /*pin_memory=*/false);
  vectors.read(0, vectors.count, static_cast<uint8_t*>(batch.pixels.data_ptr()));
  return batch;
}

}  // namespace dbps::data

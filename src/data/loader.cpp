#include "data/loader.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "data/cut.h"
#include "data/grid.h"
#include "image/codec.h"
#include "image/resize.h"

namespace dbps::data {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A batch that is being filled: its memory, and what each picture puts there.
struct Filling {
  HostBatch batch;
  std::vector<Cut> cuts;
  std::vector<std::exception_ptr> failures;  // a picture
  size_t unfinished = 0;
  int64_t bytes = 0;
};

// What one picture adds to its batch's figures.
struct PictureCost {
  double read_seconds = 0;
  double decode_seconds = 0;
  int64_t bytes_read = 0;
  int64_t bytes_copied = 0;
};

// Memory while a picture is decoded: its encoded bytes, its pixels, and those after resizing.
int64_t decoding_bytes(const Dataset& dataset, int64_t picture, const LoaderOptions& options) {
  const Picture& entry = dataset.pictures()[picture];
  const store::Reader& store = dataset.store(entry.store);
  const store::Bag& bag = store.bag(entry.bag);
  const Size after = resized(options.data, {bag.width, bag.height});
  const bool same = after.width == bag.width && after.height == bag.height;
  const int64_t pixels = bag.width * bag.height + (same ? 0 : after.width * after.height);
  return pixels * options.channels + static_cast<int64_t>(store.tile(entry.bag).bytes);
}

image::Image read_picture(const Dataset& dataset, const Cut& cut, const LoaderOptions& options,
                          PictureCost& cost) {
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
  const std::vector<uint8_t> bytes = dataset.store(entry.store).read(entry.bag);
  cost.read_seconds = seconds_since(start);
  cost.bytes_read = static_cast<int64_t>(bytes.size());

  start = Clock::now();
  image::Image picture =
      image::decode(bytes, entry.id, {options.channels, options.data.picture_pixels});
  if (picture.width != bag.source_width || picture.height != bag.source_height) {
    throw DataError(fmt::format("{}: decodes to {} x {} pixels, but its store says {} x {}",
                                entry.id, picture.width, picture.height, bag.source_width,
                                bag.source_height));
  }
  if (picture.width != cut.resized.width || picture.height != cut.resized.height) {
    picture = image::resize(picture, cut.resized.width, cut.resized.height);
  }
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

// Everything but pixels.
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
    batch.bags.push_back(cut.bag);
    batch.offsets.push_back(batch.offsets.back() + static_cast<int64_t>(cut.bag.index.size()));
    batch.jitter.insert(batch.jitter.end(), cut.jitter.begin(), cut.jitter.end());
  }
  batch.erased = erased_parts(cuts);
  const auto host = at::TensorOptions().pinned_memory(options.pin_memory);
  batch.pixels =
      at::empty({batch.offsets.back(), options.channels, height, width}, host.dtype(at::kByte));
  batch.inside = at::empty({batch.offsets.back(), 4}, at::kInt);
  filling.failures.resize(cuts.size());
  filling.unfinished = cuts.size();
  filling.bytes = static_cast<int64_t>(batch.pixels.nbytes());
  filling.cuts = std::move(cuts);
  return filling;
}

Filling start_batch(const Dataset& dataset, const std::vector<int64_t>& pictures,
                    const std::vector<int64_t>& occurrences, const LoaderOptions& options) {
  std::vector<Cut> cuts;
  for (size_t i = 0; i < pictures.size(); ++i) {
    cuts.push_back(plan_cut(dataset, pictures[i], options, occurrences[i]));
  }
  return start_batch(std::move(cuts), options);
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

PictureCost fill_picture(const Dataset& dataset, const LoaderOptions& options, Filling& filling,
                         size_t slot) {
  PictureCost cost;
  const image::Image picture = read_picture(dataset, filling.cuts[slot], options, cost);
  cost.bytes_copied = place_picture(picture, options, filling, slot);
  return cost;
}

}  // namespace

HostBatch cut_picture(const image::Image& picture, const std::string& id, LoaderOptions options) {
  options.training = false;
  HostBag bag;
  bag.id = id;
  bag.sample = stable_hash(id.data(), id.size());
  bag.source_width = picture.width;
  bag.source_height = picture.height;
  std::vector<Cut> cuts = {plan_cut(std::move(bag), options)};
  const Size size = cuts.front().resized;
  Filling filling = start_batch(std::move(cuts), options);
  if (size.width == picture.width && size.height == picture.height) {
    place_picture(picture, options, filling, 0);
  } else {
    place_picture(image::resize(picture, size.width, size.height), options, filling, 0);
  }
  return std::move(filling.batch);
}

PatchCount count_patches(const Dataset& dataset, int64_t picture, const LoaderOptions& options) {
  const Picture& entry = dataset.pictures()[picture];
  const store::Bag& bag = dataset.store(entry.store).bag(entry.bag);
  const Size size = resized(options.data, {bag.width, bag.height});
  const int64_t n = make_grid(options.data, size).size();
  return {n, options.training ? kept_patches(options.drop.ratio, n, options.salient) : n,
          std::min(size.width, size.height) < options.data.patch_size};
}

// Pictures are taken up strictly in order, batch after batch. A picture waits while it would exceed
// the bytes allowed, unless it belongs to the batch that next() is to hand out and nothing else is
// being decoded: so the work always goes on.
struct Loader::State {
  State(const Dataset& dataset_, LoaderOptions options_, std::vector<std::vector<int64_t>> batches_,
        std::vector<std::vector<int64_t>> occurrences_)
      : dataset(dataset_),
        options(std::move(options_)),
        batches(std::move(batches_)),
        occurrences(std::move(occurrences_)) {}

  bool may_start() const {
    const size_t ahead = static_cast<size_t>(std::max<int64_t>(1, options.data.prefetch_batches));
    if (next_batch >= batches.size() || next_batch >= handed_out + ahead) return false;
    if (options.host_bytes <= 0 || (next_batch == handed_out && num_decoding == 0)) return true;
    if (batches[next_batch].empty()) return true;
    const int64_t picture = decoding_bytes(dataset, batches[next_batch][next_slot], options);
    const int64_t batch = filled.contains(next_batch) ? 0 : next_batch_bytes();
    return bytes_in_flight + picture + batch <= options.host_bytes;
  }

  int64_t next_batch_bytes() const {
    int64_t bytes = 0;
    for (const int64_t picture : batches[next_batch]) {
      const Picture& entry = dataset.pictures()[picture];
      const store::Bag& bag = dataset.store(entry.store).bag(entry.bag);
      const Grid grid = make_grid(options.data, resized(options.data, {bag.width, bag.height}));
      bytes += count_patches(dataset, picture, options).kept * grid.patch_width *
               grid.patch_height * options.channels;
    }
    return bytes;
  }

  void hold(int64_t bytes) {
    bytes_in_flight += bytes;
    peak_bytes = std::max(peak_bytes, bytes_in_flight);
  }

  void decode_until_done() {
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] { return stopping || next_batch >= batches.size() || may_start(); });
      if (stopping || next_batch >= batches.size()) return;
      if (filled.contains(next_batch)) {
        decode_next(lock);
      } else {
        open_next();
      }
    }
  }

  // An empty batch is done at once, and so is one that cannot be made.
  void open_next() {
    Filling& filling = filled[next_batch];
    try {
      filling = start_batch(dataset, batches[next_batch], occurrences[next_batch], options);
    } catch (...) {
      filling.failures = {std::current_exception()};
    }
    hold(filling.bytes);
    if (filling.unfinished > 0) return;
    ++next_batch;
    done.notify_all();
  }

  void decode_next(std::unique_lock<std::mutex>& lock) {
    Filling& filling = filled.at(next_batch);
    const size_t slot = next_slot++;
    const int64_t bytes = decoding_bytes(dataset, batches[next_batch][slot], options);
    if (next_slot == batches[next_batch].size()) {
      ++next_batch;
      next_slot = 0;
    }
    hold(bytes);
    ++num_decoding;
    lock.unlock();
    PictureCost cost;
    std::exception_ptr failure;
    try {
      cost = fill_picture(dataset, options, filling, slot);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    bytes_in_flight -= bytes;
    --num_decoding;
    finish_picture(filling, slot, cost, failure);
    work.notify_all();
  }

  void finish_picture(Filling& filling, size_t slot, const PictureCost& cost,
                      std::exception_ptr failure) {
    filling.failures[slot] = std::move(failure);
    filling.batch.read_seconds += cost.read_seconds;
    filling.batch.decode_seconds += cost.decode_seconds;
    filling.batch.bytes_read += cost.bytes_read;
    filling.batch.bytes_copied += cost.bytes_copied;
    if (--filling.unfinished == 0) done.notify_all();
  }

  bool head_is_done() const {
    const auto head = filled.find(handed_out);
    return head != filled.end() && head->second.unfinished == 0;
  }

  const Dataset& dataset;
  const LoaderOptions options;
  const std::vector<std::vector<int64_t>> batches;
  const std::vector<std::vector<int64_t>> occurrences;

  std::mutex mutex;  // guards what follows
  std::condition_variable work;
  std::condition_variable done;
  std::map<size_t, Filling> filled;  // batches taken up and not handed out
  size_t next_batch = 0;             // the next picture to take up
  size_t next_slot = 0;
  size_t handed_out = 0;
  int64_t num_decoding = 0;
  int64_t bytes_in_flight = 0;
  int64_t peak_bytes = 0;
  bool stopping = false;
  double seconds_waited = 0;

  std::vector<std::thread> threads;
};

Loader::Loader(const Dataset& dataset, LoaderOptions options,
               std::vector<std::vector<int64_t>> batches,
               std::vector<std::vector<int64_t>> occurrences) {
  if (occurrences.empty()) {
    for (const auto& batch : batches) occurrences.emplace_back(batch.size(), 0);
  }
  state_ = std::make_unique<State>(dataset, std::move(options), std::move(batches),
                                   std::move(occurrences));
  // What is wrong with the configuration is said before any thread starts.
  kept_patches(state_->options.drop.ratio, 1, 0);
  if (!dataset.pictures().empty()) count_patches(dataset, 0, state_->options);
  for (int i = 0; i < std::max(1, state_->options.decode_threads); ++i) {
    state_->threads.emplace_back([state = state_.get()] { state->decode_until_done(); });
  }
}

Loader::~Loader() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

std::optional<HostBatch> Loader::next() {
  std::unique_lock lock(state_->mutex);
  if (state_->handed_out >= state_->batches.size()) return std::nullopt;
  const auto start = Clock::now();
  state_->done.wait(lock, [&] { return state_->head_is_done(); });
  state_->seconds_waited += seconds_since(start);
  Filling& filling = state_->filled.at(state_->handed_out);
  for (const std::exception_ptr& failure : filling.failures) {
    if (failure) std::rethrow_exception(failure);
  }
  HostBatch batch = std::move(filling.batch);
  state_->bytes_in_flight -= filling.bytes;
  state_->filled.erase(state_->handed_out);
  ++state_->handed_out;
  lock.unlock();
  state_->work.notify_all();
  return batch;
}

double Loader::seconds_waited() const {
  const std::lock_guard lock(state_->mutex);
  return state_->seconds_waited;
}

int64_t Loader::peak_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->peak_bytes;
}

}  // namespace dbps::data

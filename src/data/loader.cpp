#include "data/loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "data/filling.h"
#include "data/grid.h"

namespace dbps::data {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kWaitingBeat{100};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

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
    const int64_t batch =
        filled.contains(next_batch) ? 0 : batch_bytes(dataset, batches[next_batch], options);
    return bytes_in_flight + picture + batch <= options.host_bytes;
  }

  void hold(int64_t bytes) {
    bytes_in_flight += bytes;
    peak_bytes = std::max(peak_bytes, bytes_in_flight);
  }

  void decode_until_done() {
    std::vector<uint8_t> encoded;
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] { return stopping || next_batch >= batches.size() || may_start(); });
      if (stopping || next_batch >= batches.size()) return;
      if (filled.contains(next_batch)) {
        decode_next(lock, encoded);
      } else {
        open_next();
      }
    }
  }

  // An empty batch is done at once, and so is one that cannot be made.
  void open_next() {
    Filling& filling = filled[next_batch];
    // Of slides, what earlier batches read of the tables is megabytes a slide.
    if (dataset.kind() != store::Kind::kImages) dataset.forget_tables();
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

  void decode_next(std::unique_lock<std::mutex>& lock, std::vector<uint8_t>& encoded) {
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
      cost = fill_picture(dataset, options, filling, slot, encoded);
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
    ++pictures_done;
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
  int64_t pictures_done = 0;
  bool stopping = false;

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
    state_->threads.emplace_back([state = state_.get()] {
      become_background();
      state->decode_until_done();
    });
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

std::optional<HostBatch> Loader::next(const WhileWaiting& while_waiting) {
  std::unique_lock lock(state_->mutex);
  if (state_->handed_out >= state_->batches.size()) return std::nullopt;
  const auto start = Clock::now();
  const bool was_ready = state_->head_is_done();
  int64_t seen = state_->pictures_done;
  while (!state_->done.wait_for(lock, kWaitingBeat, [&] { return state_->head_is_done(); })) {
    const bool went_on = state_->pictures_done != seen;
    seen = state_->pictures_done;
    if (!while_waiting) continue;
    lock.unlock();
    while_waiting(went_on);
    lock.lock();
  }
  const double waited = was_ready ? 0 : seconds_since(start);
  Filling& filling = state_->filled.at(state_->handed_out);
  for (const std::exception_ptr& failure : filling.failures) {
    if (failure) std::rethrow_exception(failure);
  }
  HostBatch batch = std::move(filling.batch);
  batch.wait_seconds = waited;
  state_->bytes_in_flight -= filling.bytes;
  state_->filled.erase(state_->handed_out);
  ++state_->handed_out;
  lock.unlock();
  state_->work.notify_all();
  return batch;
}

int64_t Loader::peak_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->peak_bytes;
}

}  // namespace dbps::data

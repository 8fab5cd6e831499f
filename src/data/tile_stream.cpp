#include "data/tile_stream.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>

#include "base/parallel.h"

namespace dbps::data {
namespace {

using Clock = std::chrono::steady_clock;

// A thousand tiles of 256 pixels: a fraction of a second for any number of threads.
constexpr int64_t kMostBytesAhead = int64_t{256} << 20;

// One call of gather(), on its way.
struct Step {
  explicit Step(std::vector<int64_t> wanted) : rows(std::move(wanted)) {}
  std::vector<int64_t> rows;
  Tiles tiles;          // room from the first piece on
  size_t taken = 0;     // rows that threads have taken up
  size_t finished = 0;  // rows that are in place, or failed
  size_t failed_at = 0;
  std::exception_ptr failure;  // of the first bad piece
};

}  // namespace

struct TileStream::State {
  State(const TileReader& from, int64_t bytes_ahead, int num_threads)
      : reader(from), most_bytes(bytes_ahead), threads_wanted(num_threads) {}

  int64_t bytes_of(const Step& step) const {
    return static_cast<int64_t>(step.rows.size()) * reader.tile_bytes();
  }

  // The step of which a thread may take a piece, or null.
  std::shared_ptr<Step> open_step() const {
    for (size_t i = 0; i < steps.size(); ++i) {
      const std::shared_ptr<Step>& step = steps[i];
      if (step->taken == step->rows.size()) continue;
      const bool begun = step->taken > 0;
      if (i == 0 || begun || bytes_in_flight + bytes_of(*step) <= most_bytes) return step;
      return nullptr;
    }
    return nullptr;
  }

  void work() {
    std::vector<uint8_t> buffer;
    std::unique_lock lock(mutex);
    while (true) {
      std::shared_ptr<Step> step;
      changed.wait(lock, [&] { return stopping || (step = open_step()) != nullptr; });
      if (stopping) return;
      if (step->taken == 0) begin(*step);
      const size_t first = step->taken;
      const size_t count = std::min(kPieceTiles, step->rows.size() - first);
      step->taken += count;
      lock.unlock();
      int64_t bytes = 0;
      std::exception_ptr failure;
      try {
        bytes =
            reader.read(std::span(step->rows).subspan(first, count), first, step->tiles, buffer);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      bytes_read += bytes;
      finish(*step, first, count, std::move(failure));
    }
  }

  void begin(Step& step) {
    step.tiles = reader.make_room(step.rows.size());
    bytes_in_flight += bytes_of(step);
    peak_bytes = std::max(peak_bytes, bytes_in_flight);
  }

  void finish(Step& step, size_t first, size_t count, std::exception_ptr failure) {
    step.finished += count;
    if (failure && (!step.failure || first < step.failed_at)) {
      step.failure = std::move(failure);
      step.failed_at = first;
    }
    if (step.finished == step.rows.size()) done.notify_all();
  }

  // Tiles of steps that are forgotten are freed by the threads that still fill them.
  void forget() {
    for (const std::shared_ptr<Step>& step : steps) {
      if (step->taken > 0) bytes_in_flight -= bytes_of(*step);
    }
    steps.clear();
  }

  void start_threads() {
    while (static_cast<int>(threads.size()) < threads_wanted) {
      threads.emplace_back([this] {
        become_background();
        work();
      });
    }
  }

  const TileReader& reader;
  const int64_t most_bytes;
  const int threads_wanted;

  mutable std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::condition_variable done;
  std::deque<std::shared_ptr<Step>> steps;  // the front one is the next to be handed out
  int64_t bytes_in_flight = 0;
  int64_t peak_bytes = 0;
  int64_t bytes_read = 0;
  double seconds_waited = 0;
  bool stopping = false;

  std::vector<std::thread> threads;
};

TileStream::TileStream(TileReader reader, const LoaderOptions& options)
    : reader_(std::move(reader)) {
  const int64_t bytes =
      options.host_bytes > 0 ? std::min(options.host_bytes, kMostBytesAhead) : kMostBytesAhead;
  state_ = std::make_unique<State>(reader_, bytes, std::max(1, options.decode_threads));
}

TileStream::~TileStream() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

void TileStream::expect(std::vector<std::vector<int64_t>> gathers) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->forget();
    for (std::vector<int64_t>& rows : gathers) {
      if (!rows.empty()) state_->steps.push_back(std::make_shared<Step>(std::move(rows)));
    }
    state_->start_threads();
  }
  state_->changed.notify_all();
}

Tiles TileStream::gather(const std::vector<int64_t>& rows) {
  if (rows.empty()) return reader_.make_room(0);
  std::unique_lock lock(state_->mutex);
  if (state_->steps.empty() || state_->steps.front()->rows != rows) {
    lock.unlock();
    expect({rows});
    lock.lock();
  }
  const std::shared_ptr<Step> step = state_->steps.front();
  const auto start = Clock::now();
  state_->done.wait(lock, [&] { return step->finished == step->rows.size(); });
  state_->seconds_waited += std::chrono::duration<double>(Clock::now() - start).count();
  state_->bytes_in_flight -= state_->bytes_of(*step);
  state_->steps.pop_front();
  lock.unlock();
  state_->changed.notify_all();
  if (step->failure) std::rethrow_exception(step->failure);
  return std::move(step->tiles);
}

double TileStream::seconds_waited() const {
  const std::lock_guard lock(state_->mutex);
  return state_->seconds_waited;
}

int64_t TileStream::bytes_read() const {
  const std::lock_guard lock(state_->mutex);
  return state_->bytes_read;
}

int64_t TileStream::peak_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->peak_bytes;
}

}  // namespace dbps::data

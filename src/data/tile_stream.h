// The tiles of a batch, step by step: never all of them in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/tile_reader.h"

namespace dbps::data {

// Hands out tiles as they are asked for. Where it knows what will be asked for, threads of its own
// read and decode ahead, up to a bound on decoded bytes; all of them work on the step waited for
// first, so that one slide keeps as many threads busy as many pictures do. Called from one thread.
// Destroying it ends its threads once they are done with some tiles.
class TileStream {
 public:
  // That one thread takes up at a time: some hundred kilobytes in one pread, some milliseconds of
  // decoding.
  static constexpr size_t kPieceTiles = 16;

  TileStream(TileReader reader, const LoaderOptions& options);
  ~TileStream();
  TileStream(const TileStream&) = delete;
  TileStream& operator=(const TileStream&) = delete;

  // The calls of gather() to come, in order: rows of the batch. Forgets those of an earlier call.
  void expect(std::vector<std::vector<int64_t>> gathers);
  // Throws DataError naming slide and tile, always that of the first bad tile of `rows`.
  Tiles gather(const std::vector<int64_t>& rows);

  const TileReader& reader() const { return reader_; }
  double seconds_waited() const;  // time gather() was blocked so far
  int64_t bytes_read() const;     // encoded, so far
  int64_t peak_bytes() const;     // most of decoded tiles at once, so far

 private:
  struct State;
  TileReader reader_;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::data

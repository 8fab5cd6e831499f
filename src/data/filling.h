// A batch on its way from the store into a HostBatch: what the threads of Loader do to each
// picture. Pictures are decoded and cut; feature vectors are read into the batch as they lie in the
// store; of tiles the batch only knows which they are, and reads them in the course of the scan.
#pragma once

#include <cstdint>
#include <exception>
#include <vector>

#include "data/batch.h"
#include "data/cut.h"
#include "data/dataset.h"
#include "data/loader.h"

namespace dbps::data {

struct Filling {
  HostBatch batch;
  std::vector<Cut> cuts;                     // a picture; none of tiles and features
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

// Memory while a picture is decoded, beside the batch's own: its encoded bytes, its pixels, and
// those after resizing.
int64_t decoding_bytes(const Dataset& dataset, int64_t picture, const LoaderOptions& options);
// Of the batch that start_batch() makes.
int64_t batch_bytes(const Dataset& dataset, const std::vector<int64_t>& pictures,
                    const LoaderOptions& options);

// Everything but pixels. `occurrences`: as of StepPlan, a picture. Throws ConfigError for pictures
// of several sizes taken whole.
Filling start_batch(const Dataset& dataset, const std::vector<int64_t>& pictures,
                    const std::vector<int64_t>& occurrences, const LoaderOptions& options);

// Reads one picture into its place. Any thread; each slot once. `encoded` is the thread's own
// memory for encoded pictures, which only grows: new memory for each would cost a twentieth of
// reading. Throws DataError naming the picture.
PictureCost fill_picture(const Dataset& dataset, const LoaderOptions& options, Filling& filling,
                         size_t slot, std::vector<uint8_t>& encoded);

}  // namespace dbps::data

// Reads, decodes and cuts ahead of the training, in threads. With vectors.h, which serves bags that
// are in no data set, the only producer of HostBatch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/bag_share.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "data/options.h"
#include "image/image.h"

namespace dbps::data {

struct LoaderOptions {
  DataOptions data;
  AugmentOptions augment;
  DropOptions drop;
  bool training = true;  // false: no augmentation, no drop; features know no augmentation
  int64_t salient = 0;   // M, for the number of kept patches
  int64_t seed = 0;
  int64_t epoch = 0;
  int channels = 3;
  bool pin_memory = false;
  int decode_threads = 1;
  BagShare share;          // of tiles and features no more is read ahead
  int64_t host_bytes = 0;  // bound on decoded pictures and finished batches in flight, 0: none; at
                           // least one picture of the batch waited for is always let through
};

// N, and the number of patches kept of it: what plan_epoch and a memory estimate ask for. Needs no
// pixels.
struct PatchCount {
  int64_t all = 0;
  int64_t kept = 0;
  bool padded = false;  // the picture is smaller than a patch, which black fills up
  int64_t bytes = 0;    // of those kept, as the device gets them
};
PatchCount count_patches(const Dataset& dataset, int64_t picture, const LoaderOptions& options);

// A decoded, upright picture that is in no store, as evaluation sees it: one bag, all its patches.
HostBatch cut_picture(const image::Image& picture, const std::string& id, LoaderOptions options);
// The same from its encoded bytes, decoded as the loader does. Throws DataError with `name` at its
// start.
HostBatch cut_encoded(std::span<const uint8_t> bytes, const std::string& name,
                      const std::string& id, LoaderOptions options);

// A whole slide of a store of tiles as evaluation sees it, by its first part. Borrows the store.
HostBatch tile_batch(const store::Reader& store, int64_t bag, LoaderOptions options);

// Hands out the batches of `batches` (each a list of pictures()-indices, possibly empty) in order.
// What a batch holds depends on seed, epoch, picture and occurrence alone, never on threads or
// prefetch. At most data.prefetch_batches (at least one) are ahead of next(). next() may be called
// from one thread. Destroying it ends its threads once they are done with their pictures. The
// dataset must outlive it, and batches of tiles.
class Loader {
 public:
  // `occurrences`: as of StepPlan, a picture of `batches`; empty: all 0.
  Loader(const Dataset& dataset, LoaderOptions options, std::vector<std::vector<int64_t>> batches,
         std::vector<std::vector<int64_t>> occurrences = {});
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Told every 0.1 s while next() waits: whether anything was read since. May throw, to wait no
  // longer; next() can then be called again.
  using WhileWaiting = std::function<void(bool went_on)>;

  // nullopt after the last. Throws what a decode thread threw: DataError naming the picture, always
  // that of the first bad picture in order; ConfigError for pictures of several sizes taken whole.
  std::optional<HostBatch> next(const WhileWaiting& while_waiting = {});
  int64_t peak_bytes() const;  // most that host_bytes bounds, so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::data

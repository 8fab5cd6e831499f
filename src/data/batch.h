// A micro-batch on the host, and its patches (or feature vectors) on the device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/bag_share.h"
#include "data/jitter.h"

namespace dbps::data {

class TileStream;
struct Tiles;

// One picture's kept patches. Ragged: bags of a batch may differ in number of patches.
struct HostBag {
  int64_t picture = 0;  // index into Dataset::pictures()
  std::string id;
  uint64_t sample = 0;       // names its random streams, each time an epoch draws the picture
  int64_t grid_columns = 0;  // of tiles and features: N
  int64_t grid_rows = 0;     // of tiles and features: 1
  int64_t source_width = 0;  // level-0 pixels; of features 0, as are a patch's sizes
  int64_t source_height = 0;
  std::vector<int64_t> index;  // row-major place in the grid of each kept patch, ascending; of
                               // tiles and features: number in the bag
  std::vector<float> x;        // top-left corner in pixels of the source, one a kept patch
  std::vector<float> y;
  float patch_width_source = 0;  // extent of a patch in pixels of the source
  float patch_height_source = 0;
};

// Owned by whoever holds it; made by Loader, consumed by DevicePatches.
struct HostBatch {
  std::vector<HostBag> bags;
  std::vector<int64_t> offsets;  // B + 1: rows of bag b are offsets[b] .. offsets[b + 1] - 1
  at::Tensor pixels;             // (P, C, h, w) uint8 on the host, pinned when the device is a GPU;
                                 // kind = features: (own P, F) float32, of own_parts() end to end;
                                 // kind = tiles: undefined
  std::shared_ptr<TileStream> tiles;  // kind = tiles: reads them when they are asked for
  at::Tensor inside;  // of pictures (P, 4) int32: x0, y0, x1, y1 of the part of each patch that
                      // lies in the picture; outside is black after the jitter
  at::Tensor erased;  // of pictures (P, 4) int32: as `inside`, the part of each patch that is 0
                      // after normalisation, all zeros: none; undefined: nothing is erased
  std::vector<Jitter> jitter;  // one a bag, or one a patch; empty: none. With one a tile,
                               // mean_grey comes with the tile
  BagShare share;              // the ranks that share it
  at::Tensor greys;  // of shared slides (B, 16) double: of the tiles of whose mean grey the jitter
                     // is made, this rank's own, else 0; undefined: join() has nothing to do
  double read_seconds = 0;  // thread time
  double decode_seconds = 0;
  double wait_seconds = 0;  // in which the training asked for it and it was not ready
  int64_t bytes_read = 0;
  int64_t bytes_copied = 0;  // pixels copied out of decoded pictures

  // Which of a bag's rows this rank scans: [first, last), counted in the bag.
  std::pair<int64_t, int64_t> own_part(int64_t bag) const;
  std::vector<std::pair<int64_t, int64_t>> own_parts() const;  // of each bag
};

// The sum of a tensor over the ranks that share a batch; of double or int64.
using SumOverRanks = std::function<at::Tensor(const at::Tensor& own)>;

// Fills in what ranks that share a batch know of it together only. Once, before DevicePatches is
// made. Collective over them.
void join(HostBatch& batch, const SumOverRanks& sum);

// The patches of one HostBatch as the encoder wants them: jittered, normalised, on the device;
// feature vectors as they are, on the device. The batch must outlive it. On a GPU, a batch of at
// most `device_bytes` of pixels (0: of any size) is uploaded once; of a larger one, and of tiles,
// gather() uploads what it is asked for. Not thread-safe.
class DevicePatches {
 public:
  // `mean` and `std`: one value a channel, of pixels in 0 .. 1; not used for features.
  DevicePatches(const HostBatch& batch, std::vector<double> mean, std::vector<double> std,
                at::Device device, at::ScalarType dtype, int64_t device_bytes);

  // (n, C, h, w), of features (n, F), of the batch's rows, in the order given, of `dtype`, without
  // gradient. Values of patches are those that whole-picture augmentation followed by cutting
  // gives, to 1/255. Of tiles: throws DataError naming the damaged one.
  at::Tensor gather(const std::vector<int64_t>& rows) const;
  // Whether gather() knows this rank's own part alone (vectors that ranks share, and tiles of which
  // each node holds a part), and what others scanned comes by gather_together().
  bool holds_own_part() const;
  // Of `rows`, the same on all ranks that share the batch, the `count` from number `first` on, as
  // gather() gives them. Each rank reads those of its own part; all are added up by `sum`, as bytes
  // of pixels or vectors. Collective over those ranks.
  at::Tensor gather_together(const std::vector<int64_t>& rows, int64_t first, int64_t count,
                             const SumOverRanks& sum) const;
  // The calls of gather() to come, in order, so that tiles are read ahead; of no effect on others.
  void expect(const std::vector<std::vector<int64_t>>& gathers) const;
  int64_t bytes_read() const;     // encoded, of the batch so far
  double seconds_waited() const;  // for tiles, in gather() so far

 private:
  struct Part;
  template <typename T>
  at::Tensor gather_on_host(const Part& part) const;
  at::Tensor gather_on_device(const Part& part) const;
  at::Tensor finish(const Part& part) const;
  at::Tensor vectors_of(const std::vector<int64_t>& rows) const;
  Part part_of(const std::vector<int64_t>& rows, Tiles tiles) const;
  at::Tensor edges_of(const at::Tensor& edges, const std::vector<int64_t>& rows) const;
  bool holds_vectors() const { return pixels_.defined() && pixels_.dim() == 2; }

  const HostBatch& batch_;
  std::vector<double> mean_;
  std::vector<double> std_;
  at::Device device_;
  at::ScalarType dtype_;
  at::Tensor pixels_;                  // on the device, or the host's when over budget
  std::vector<int64_t> slots_;         // of each row, its place in pixels_; -1: another rank's
  std::vector<int64_t> jitter_index_;  // a row; empty: no colour changes
};

}  // namespace dbps::data

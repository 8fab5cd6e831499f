// Which patches of each bag are salient and which sub-salient (method.md 2). One file and one
// registration a method. No gradient anywhere in this room.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/ragged.h"
#include "selection/options.h"

namespace dbps::distributed {
class Collectives;
}

namespace dbps::selection {

// The patches of a batch, bag by bag. Rows number the patches of the whole batch; the functions are
// supplied by the caller, so that this room knows neither pixels nor devices.
struct Bags {
  std::vector<int64_t> offsets;  // B + 1; rows of bag b are offsets[b] .. offsets[b + 1] - 1
  std::vector<int64_t> place;  // of each row: its place in the bag's grid (ties, position encoding)
  std::vector<uint64_t> sample;  // of each bag: names its random streams
  // With Request::group: of each bag which of its rows this rank scans, [first, last) counted in
  // the bag: the ranks' parts follow each other and together are the bag.
  std::vector<std::pair<int64_t, int64_t>> own;
  // Rows, of those that this rank scans or none -> patches as the encoder wants them.
  std::function<at::Tensor(const std::vector<int64_t>& rows)> gather;
  // Told by a scan which calls of gather() will follow, in order; may be empty.
  std::function<void(const std::vector<std::vector<int64_t>>& gathers)> expect;
};

// The scan's view of the model.
struct Scorer {
  std::function<at::Tensor(const at::Tensor& patches)> embed;  // (n, ...) -> (n, D)
  // (n, D), places (n) int64 on the CPU -> (n, heads): per-head, per-token logits.
  std::function<at::Tensor(const at::Tensor& embeddings, const at::Tensor& places)> logits;
};

struct Request {
  bool training = true;
  int64_t salient = 0;       // M or M'
  int64_t sub_salient = 0;   // S
  int64_t scan_patches = 0;  // L, already shrunk by the drop ratio
  double exploration = 0.0;  // t: ranks by log(score) + t * Gumbel noise (demo.md); 0: by score
  int64_t seed = 0;
  int64_t epoch = 0;
  std::function<void()> between_steps;  // between scan steps; may throw to stop; may be empty
  // The ranks that share the bags: each scans its part of every bag (Bags::own), and all select
  // what one rank would. Null: this rank scans all. Needs Ranking::kGlobal.
  distributed::Collectives* group = nullptr;
  std::function<void(bool)> waits;  // true before this rank waits for its group, then false
  bool attention = false;           // also tell that of patches which are not selected
};

// Thrown on the ranks of a group when `between_steps` of another one threw.
struct Interrupted {};

struct Selected {
  std::vector<int64_t> rows;  // batch rows, best first
  std::vector<float> scores;  // head-mean attention each was ranked by, without noise
};

struct Selection {
  std::vector<Selected> salient;         // a bag; min(M, N) rows
  std::vector<Selected> sub_salient;     // a bag; at most S rows
  model::Ragged sub_salient_embeddings;  // rows as in sub_salient, on the scan's device, detached;
                                         // values undefined when no bag has any
  int64_t patches_scanned = 0;
  // Where Request::attention asks for it and the method scans; of each bag, of every patch by its
  // place among the bag's rows: the head-mean attention of one softmax over the whole bag. With the
  // ranking "global", and without noise, these are the scores.
  std::vector<std::vector<float>> attention;
};

// A method. Stateless between calls. The scan leaves the trained encoder and its statistics alone.
class Selector {
 public:
  virtual ~Selector() = default;
  virtual Selection select(const Bags& bags, const Scorer& scorer,
                           const Request& request) const = 0;
};

// Methods are made by name in selection/registry.cpp. Throws ConfigError for an unknown one, and
// for S > 0 where it keeps no second buffer.
const std::vector<std::string>& selector_methods();
std::unique_ptr<Selector> make_selector(const SelectionOptions& options);

}  // namespace dbps::selection

// An encoder run over a store's bags, to be kept as a store of features.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "distributed/world.h"
#include "store/format.h"
#include "store/reader.h"
#include "store/vectors.h"
#include "training/trained_model.h"

namespace dbps::training {

struct ExtractionOptions {
  ModelSource model;               // whose encoder it is; without a path: `encoder`
  std::string encoder;             // a kind of encoder_kinds(), with ...
  std::string weights;             // ... the file of its weights, or of a model that holds them
  int64_t stages = 0;              // of a ResNet; 0: all
  std::string precision = "fp32";  // as training.scan_precision: fp32, bf16 or auto
  std::string type = "float16";    // of the vectors: float16 or float32
  int64_t batch = 64;              // patches that are encoded together
};

// One vector a patch, of the patches that evaluation sees: all of them, without augmentation. Not
// thread-safe.
class Extractor {
 public:
  // For one store, which it borrows. Collective. Throws ConfigError or DataError as
  // load_trained_model does, and ConfigError for a store or a model of features, or for tiles of
  // another scale or size than the model has seen.
  Extractor(const ExtractionOptions& options, const store::Reader& store,
            distributed::World& world);
  ~Extractor();

  // Of the store of features: what made it, and what its patches were.
  store::Settings settings() const;
  // What the store of features says of a slide or picture: its extent, scale and level; `bag` is
  // the first part.
  store::Bag describe(int64_t bag) const;

  // Gets one vector of settings() and where its patch lies.
  using Visit = std::function<void(store::Place, std::span<const uint8_t>)>;
  // Visits all vectors of a bag, in order; memory is flat in their number. `encoded` is called with
  // the number of vectors so far, batch by batch. Returns the encoded bytes read. Throws DataError
  // naming the damaged bag or tile, or a vector that is not finite in its type.
  int64_t extract(int64_t bag, const Visit& visit, const std::function<void(int64_t)>& encoded);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::training

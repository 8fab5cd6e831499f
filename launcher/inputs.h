// What `predict` and `explain` are given to look at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/batch.h"
#include "image/image.h"
#include "ingest/sources.h"
#include "store/reader.h"
#include "training/trained_model.h"

namespace dbps::launcher {

// One picture, slide or bag of features: a file, or a bag of a store.
struct Input {
  std::string id;
  std::filesystem::path source;               // the file, or STORE/ID
  std::string member = {};                    // of a file of several bags
  std::shared_ptr<store::Reader> store = {};  // null for a file
  int64_t bag = 0;                            // of the store, its first part
  // A slide's file: the one source of the list; null for all else.
  std::shared_ptr<const ingest::SourceList> slide = {};

  bool is_of(store::Kind kind) const { return store && store->settings().kind == kind; }
};

// All that the names on the command line stand for. Files are what the model was trained on:
// pictures, slides where it has seen tiles, or vectors. Throws ConfigError for what is not there,
// or is not for this model.
std::vector<Input> list_inputs(const std::vector<std::string>& given,
                               const training::TrainedModel& trained);

// An input made ready for the model. Owns what the batch borrows.
struct OpenInput {
  std::shared_ptr<const void> owner;           // of the folder that the store lies in
  std::shared_ptr<const store::Reader> store;  // of a slide's tiles, or of stored vectors
  int64_t bag = 0;
  data::HostBatch batch;         // borrows the store: goes first
  image::Image picture;          // of a picture, where `keep_picture` asks for it
  std::vector<uint8_t> encoded;  // of a picture
};

struct OpenOptions {
  double slide_mpp = 0;  // of slides' files that do not say; 0: those are refused
  bool keep_picture = false;
};

// A slide's file is cut by the rule and with the settings of the model's own slides, into a store
// in the folder for temporary files that goes with the result. Throws DataError naming the source.
OpenInput open_input(const Input& input, const training::TrainedModel& trained,
                     const OpenOptions& options);

}  // namespace dbps::launcher

// Weights of a whole model or of its encoder, in the names that people have them in: ours, the
// released code's (upstream) and torchvision's.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/encoder.h"
#include "model/parameters.h"
#include "model/weights.h"

namespace dbps::model {

enum class Names { kDbps, kUpstream, kTorchvision };

// By its word: "dbps", "upstream", "torchvision". Throws ConfigError.
Names names_of(const std::string& word);

// read_weights, with the names made ours: "module." and "_orig_mod." before all names are dropped,
// upstream's names are translated, num_batches_tracked is left out (momentum is fixed here). What
// has no counterpart keeps its name. Throws DataError naming the file.
WeightsFile read_model_weights(const std::filesystem::path& path);

// Copies a whole model's file into its tensors ("encoder.*", "aggregator.*", "heads.*"). The heads
// stay as drawn with `reset_heads`, which is logged. Throws DataError in one line: which other
// network this is, or what is missing, unexpected and of another shape; nothing is copied then.
void load_model(const std::vector<NamedTensor>& model, const WeightsFile& file,
                const std::filesystem::path& path, bool reset_heads = false);

// Copies an encoder from a file of its own (torchvision's or timm's names) or from a whole model.
// What published weights lack (a projector, a stem for another number of channels) stays as drawn,
// which is logged. Throws DataError as load_model does; for a missing file it says where to get
// one.
void load_encoder(Encoder& encoder, const std::filesystem::path& path);

// A whole model's tensors under other names: torchvision's are those of its encoder alone, without
// projector. Throws ConfigError naming the first tensor that upstream has no name for.
std::vector<NamedTensor> exported(const std::vector<NamedTensor>& model, Names names);

}  // namespace dbps::model

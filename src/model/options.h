// The architecture: the tables [encoder], [aggregator] and [[task]].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dbps::model {

struct EncoderOptions {
  std::string kind = "resnet18";
  int64_t stages = 4;              // of a ResNet, 1..4
  int64_t channels = 3;            // 1 or 3
  int64_t width = 0;               // D; 0: 512 behind a projector, else the encoder's own
  std::string projector = "auto";  // "auto": as the paper's for this encoder; "none"; "linear"
  std::string weights = "";        // .safetensors or .pth (model_weights.h); "": random
  bool frozen = false;             // nothing of it is trained, its projector included
  int64_t frozen_stages =
      0;  // of a convolutional encoder, from the input on; its stem with the first
  double learning_rate_scale = 1.0;
  int64_t width_in = 0;  // of kind "features": width of a vector; 0: the store's, resolved at the
                         // start
};

// Whether bags hold feature vectors, not patches of pictures.
inline bool reads_vectors(const EncoderOptions& options) { return options.kind == "features"; }

struct GatedAttentionOptions {
  int64_t width = 128;  // hidden units of either gate
};

struct AggregatorOptions {
  std::string kind = "dual_attention";
  int64_t tokens = 0;  // T; 0: one a task
  int64_t mlp_layers = 2;
  int64_t heads = 8;       // H
  int64_t key_width = 64;  // Dk; 0: D / H
  int64_t value_width = 64;
  int64_t mlp_width = 2048;
  double attention_dropout = 0.1;
  double dropout = 0.1;
  bool position_encoding = false;
  GatedAttentionOptions gated_attention;  // what only one kind has
};

enum class TaskKind { kMulticlass, kMultilabel, kBinary };

struct TaskOptions {
  std::string name;
  std::string column;  // "": name
  TaskKind kind = TaskKind::kMulticlass;
  std::vector<std::string> classes;   // empty with num_classes = 0: as found in the labels
  int64_t num_classes = 0;            // when `classes` was given as a number
  std::vector<double> class_weights;  // empty: 1
  bool balanced_class_weights = false;
  double weight = 1.0;
};

struct ModelOptions {
  EncoderOptions encoder;
  AggregatorOptions aggregator;
  std::vector<TaskOptions> tasks;  // classes filled in
};

}  // namespace dbps::model
